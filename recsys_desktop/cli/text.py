"""Figures as people read them on a terminal."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

from recsys_desktop.engine import readable_bytes

NOTHING = "—"


def yes(value: Any, empty: str = "none") -> str:
    """A parameter's value as it would be typed; `empty` for None."""
    if value is None:
        return empty
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(count: int, thing: str, things: str | None = None) -> str:
    """A number with what it counts: "1 user", "2 users", "1,204 people"; things: the plural, where it is not in -s."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def following(workspace: Path | None, arguments: str) -> str:
    """The line that names the next command, as it can be typed; in the workspace that was given, if any."""
    option = "" if workspace is None else f" --workspace {shlex.quote(str(workspace))}"
    return f"Next: recsys-desktop {arguments}{option}"


def figure(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash where there is none."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """A duration: "340 ms", "2.4 s", "3 min 12 s"."""
    if value is None:
        return NOTHING
    if value < 1:
        return f"{value * 1000:.3g} ms"
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def size(value: int | None) -> str:
    """A size in bytes, or a dash."""
    return NOTHING if value is None else readable_bytes(value)


def percent(value: float | None) -> str:
    """A probability, or a dash."""
    return NOTHING if value is None else f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"
