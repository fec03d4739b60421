"""How models and data sets are named, and how what a person typed finds them."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from recsys_desktop.workspace.errors import InvalidName
from recsys_desktop.workspace.records import ModelRecord

Record = TypeVar("Record")

_LONGEST_NAME = 200
_LONGEST_LISTING = 20
_SHORTEST_PREFIX = 6
# "ease@3", "ease v3", "ease @v3"
_VERSIONED = re.compile(r"(?P<name>.+?)(?:\s*@\s*v?|\s+v)(?P<version>\d+)")


def split_version(text: str) -> tuple[str, int] | None:
    """Name and version of a text such as ``ease@3`` or ``ease v3``; None where it is not of that form."""
    match = _VERSIONED.fullmatch(text)
    return (match["name"], int(match["version"])) if match else None


def check_name(name: str) -> str:
    """``name`` without surrounding white space; ``InvalidName`` where it is empty, very long or cannot be shown."""
    stripped = name.strip()
    if not stripped:
        raise InvalidName("A name must not be empty.")
    if len(stripped) > _LONGEST_NAME:
        raise InvalidName(f"The name {stripped[:40]!r}... is longer than {_LONGEST_NAME} characters.")
    if not stripped.isprintable():
        raise InvalidName(f"The name {stripped!r} contains characters that cannot be shown.")
    return stripped


def check_model_name(name: str) -> str:
    """As ``check_name``; also refuses what reads as a version (``ease@3``, ``ease v3``), to tell them apart."""
    checked = check_name(name)
    if split_version(checked) is not None:
        raise InvalidName(f'The name "{checked}" reads as a version of a model; versions are numbered by themselves.')
    return checked


def by_prefix(records: Sequence[Record], wanted: str, key: Callable[[Record], str]) -> Record | None:
    """The record whose key is ``wanted``, or the only one whose key starts with it (six characters at least)."""
    exact = [record for record in records if key(record) == wanted]
    if exact:
        return exact[0]
    if len(wanted) < _SHORTEST_PREFIX:
        return None
    starting = [record for record in records if key(record).startswith(wanted)]
    return starting[0] if len(starting) == 1 else None


def version_label(record: ModelRecord) -> str:
    """How lists show a version: ``v3``, or ``v3 active``."""
    return f"v{record.version} active" if record.active else f"v{record.version}"


def not_found(what: str, wanted: str, names: Iterable[str] | Mapping[str, str], hint: str) -> str:
    """A sentence that says what there is instead; ``names`` may map each name to how it is shown."""
    shown = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    if not shown:
        return f'There is no {what} "{wanted}": the workspace has none yet; {hint}.'
    close = difflib.get_close_matches(wanted, shown, n=1)
    guess = f' Did you mean "{close[0]}"?' if close else ""
    listed = ", ".join(list(shown.values())[:_LONGEST_LISTING])
    more = f" and {len(shown) - _LONGEST_LISTING} more" if len(shown) > _LONGEST_LISTING else ""
    return f'There is no {what} "{wanted}".{guess} There is: {listed}{more}.'
