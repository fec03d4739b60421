"""Values as they are typed: name=value pairs, roles, filters, and configuration files."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys_desktop.api.query import ConstraintValue
from recsys_desktop.engine import Misuse, UnknownName


def pairs(entries: Iterable[str], option: str) -> dict[str, str]:
    """`name=value` entries as a mapping.

    Raises
    ------
    Misuse: an entry has no name or no equals sign, or a name occurs twice.
    """
    found: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise Misuse(f"{option} '{entry}': write name=value")
        if name.strip() in found:
            raise Misuse(f"{option}: '{name.strip()}' is given twice")
        found[name.strip()] = value
    return found


def algorithm_params(entries: Iterable[str], algorithms: Collection[str]) -> dict[str, dict[str, str]]:
    """`ALGORITHM.name=value` entries as parameters by algorithm; with one algorithm its name may be left out.

    Raises
    ------
    Misuse: as `pairs`, or it is not clear which algorithm is meant.
    """
    found: dict[str, dict[str, str]] = {}
    for name, value in pairs(entries, "--set").items():
        algorithm, dot, parameter = name.partition(".")
        if not dot:
            if len(algorithms) != 1:
                raise Misuse(f"--set '{name}={value}': write ALGORITHM.{name}={value}")
            algorithm, parameter = next(iter(algorithms)), name
        if algorithm not in algorithms:
            raise UnknownName("algorithm among those evaluated", algorithm, algorithms)
        found.setdefault(algorithm, {})[parameter] = value
    return found


def moment(text: str | None) -> int | None:
    """A moment in seconds since 1970: a date or time by ISO 8601 (UTC where it names no zone), or those seconds.

    Raises
    ------
    Misuse: it is neither.
    """
    if text is None:
        return None
    wanted = text.strip()
    if wanted.lstrip("-").isdigit() and len(wanted) > 8:
        return int(wanted)
    try:
        found = datetime.fromisoformat(wanted)
    except ValueError:
        raise Misuse(f"--as-of '{text}': write a date (2024-05-31), a time (2024-05-31T20:15) or seconds") from None
    return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp())


def filters(entries: Iterable[str]) -> dict[str, ConstraintValue]:
    """`column=value` filters: several values with `|`, a range of numbers with `..` (either end may be missing).

    Raises
    ------
    Misuse: as `pairs`, or a range has no number.
    """
    found: dict[str, ConstraintValue] = {}
    for name, text in pairs(entries, "--filter").items():
        low, dots, high = text.partition("..")
        if dots:
            found[name] = (_bound(name, low), _bound(name, high))
        else:
            values = [value.strip() for value in text.split("|")]
            found[name] = values[0] if len(values) == 1 else values
    return found


def _bound(name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise Misuse(f"--filter {name}: '{text}' is not a number") from None


def read_config(path: Path | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a TOML or JSON file (by its ending), empty where there is none.

    known: the settings there are, each with the type (or types) of its value.

    Raises
    ------
    Misuse: the file cannot be read, is not valid, names something that is not among `known`, or a value is of another
    type; the message names file and setting.
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Misuse(f"--config: {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"--config: {path} cannot be read ({error})") from error
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise Misuse(f"--config: {path}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except tomllib.TOMLDecodeError as error:
        raise Misuse(f"--config: {path}: {error}") from error
    if not isinstance(content, dict):
        raise Misuse(f"--config: {path} must hold names with values")
    for name, value in content.items():
        if name not in known:
            raise UnknownName(f"setting in {path.name}", name, known, f"the settings are: {', '.join(known)}")
        expected = known[name]
        fits = isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
        if not fits:
            raise Misuse(f"--config: {path}: '{name}' is {value!r}; it must be {_KINDS[expected]}")
    return content


_KINDS: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    dict: "a table of names with values",
    list: "a list",
    (str, list): "text or a list of texts",
}


def table(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One table of a configuration file, empty where it is absent.

    Raises
    ------
    Misuse: it is something else.
    """
    value = config.get(name, {})
    if not isinstance(value, Mapping):
        raise Misuse(f"--config: '{name}' must hold names with values")
    return dict(value)
