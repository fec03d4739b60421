"""Entry point of `recsys-desktop` and `python -m recsys_desktop`: with a verb the command line, else the window."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class WindowOptions(NamedTuple):
    """What a command line without a verb says."""

    workspace: Path | None = None
    safe_mode: bool = False


def main() -> int:
    """Run the face that was asked for and return the exit code."""
    arguments = sys.argv[1:]
    window = window_options(arguments)
    if window is None:
        from recsys_desktop.cli.app import run

        return run(arguments)
    if not has_screen():
        sys.stderr.write(
            "there is no screen to open the window on; the command line does the same work: "
            "recsys-desktop demo, or recsys-desktop --help\n"
        )
        return 1
    from recsys_desktop.gui.app import run_window

    return run_window(window.workspace, safe_mode=window.safe_mode)


def has_screen() -> bool:
    """Whether a window can be shown: not on a Linux without a display server, unless Qt is told otherwise."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def window_options(arguments: Sequence[str]) -> WindowOptions | None:
    """The options of a command line without a verb, or None where there is one (or something else)."""
    found = WindowOptions()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in ("--workspace", "-w"):
            given = value if equals else next(rest, None)
            if not given:
                return None
            found = found._replace(workspace=Path(given))
        elif argument == "--safe-mode":
            found = found._replace(safe_mode=True)
        else:
            return None
    return found


if __name__ == "__main__":
    sys.exit(main())
