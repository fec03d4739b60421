"""What to build a Dataset from: files, column roles, reading options and cleaning options, all plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.api.params import Params, param
from recsys_desktop.api.roles import Role

DEFAULT_EVENT_STRENGTHS = (
    "view=1",
    "pv=1",
    "click=2",
    "like=3",
    "fav=3",
    "cart=3",
    "addtocart=3",
    "add_to_cart=3",
    "enrol=4",
    "enroll=4",
    "buy=5",
    "purchase=5",
    "transaction=5",
    "complete=5",
)

DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "::": "double colon", " ": "space"}


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file; None leaves the choice to its content.

    reader: id of a reader. encoding: a Python codec name. delimiter: one or more characters. header: whether the first
    line holds column names. decimal: "." or ",". quoting: whether fields may be in double quotes. sheet: of a workbook.
    """

    reader: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    decimal: str | None = None
    quoting: bool | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise InvalidParameter("decimal", f"{self.decimal!r} is neither '.' nor ','")
        if self.delimiter is not None and (not self.delimiter or "\n" in self.delimiter or '"' in self.delimiter):
            raise InvalidParameter("delimiter", "give at least one character, neither a quote nor a line break")
        if self.encoding is not None:
            import codecs

            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise InvalidParameter("encoding", f"'{self.encoding}' is not known; try utf-8 or cp1252") from None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from typed values or text ("tab", "yes", "none").

        Raises
        ------
        InvalidParameter: naming the option that is unknown or wrong.
        """
        names = {entry.name for entry in fields(cls)}
        typed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in names:
                raise InvalidParameter(name, f"unknown; the reading options are: {', '.join(sorted(names))}")
            if isinstance(value, str):
                value = _option_from_text(name, value)
            typed[name] = value
        return cls(**typed)

    def to_dict(self) -> dict[str, Any]:
        """The options that are set, as plain values that `parse` takes back."""
        return {entry.name: value for entry in fields(self) if (value := getattr(self, entry.name)) is not None}


def _option_from_text(name: str, text: str) -> Any:
    lowered = text.strip().lower()
    if name == "delimiter":
        by_name = {label: delimiter for delimiter, label in DELIMITER_NAMES.items()}
        return by_name.get(lowered, text.replace("\\t", "\t")) if lowered or text else None
    if lowered in ("", "none", "auto"):
        return None
    if name in ("header", "quoting"):
        if lowered in ("yes", "true", "on", "1"):
            return True
        if lowered in ("no", "false", "off", "0"):
            return False
        raise InvalidParameter(name, f"'{text}' is neither yes nor no")
    return text.strip() if name != "sheet" else text


@dataclass(frozen=True)
class FileSource:
    """One file. roles: corrections by column name over what is guessed; options: over what is sniffed."""

    path: Path
    roles: Mapping[str, Role] = field(default_factory=dict)
    options: ReadOptions = ReadOptions()


class CleaningOptions(Params):
    """What cleaning does beyond what it must."""

    feedback: Literal["auto", "explicit", "implicit"] = param(
        "auto",
        label="Feedback",
        help="Explicit keeps ratings, implicit counts every interaction; auto keeps ratings where the file has them.",
    )
    rating_minimum: float | None = param(
        None, label="Lowest rating", help="Rows rated lower are reported and left out; none infers it from the ratings."
    )
    rating_maximum: float | None = param(
        None,
        label="Highest rating",
        help="Rows rated higher are reported and left out; none infers it from the ratings.",
    )
    event_strengths: tuple[str, ...] = param(
        DEFAULT_EVENT_STRENGTHS,
        label="Event strengths",
        help="How much an event of each name counts, as name=number; names are compared without regard to case.",
    )
    unknown_event_strength: float = param(
        1.0, gt=0, label="Other events", help="How much an event that is not named above counts."
    )
    minimum_user_interactions: int = param(
        1, ge=1, le=1000, label="Interactions per person", help="People with fewer are left out (k-core, repeated)."
    )
    minimum_item_interactions: int = param(
        1, ge=1, le=1000, label="Interactions per item", help="Items with fewer are left out (k-core, repeated)."
    )
    standardise_categories: bool = param(
        False,
        label="Standardise category names",
        help="Merge category names that differ in case or white space only; the most frequent spelling stays.",
    )

    def strengths(self) -> dict[str, float]:
        """The strength of each event by case-folded name.

        Raises
        ------
        InvalidParameter: an entry is not `name=number` with a positive number.
        """
        table: dict[str, float] = {}
        for entry in self.event_strengths:
            name, equals, value = entry.rpartition("=")
            try:
                strength = float(value)
            except ValueError:
                strength = float("nan")
            if not equals or not name.strip() or not 0 < strength < float("inf"):
                raise InvalidParameter("event_strengths", f"'{entry}' is not a name, an equals sign, a positive number")
            table[name.strip().casefold()] = strength
        return table


@dataclass(frozen=True)
class BuildRequest:
    """The files of one Dataset and how to read and clean them.

    interactions: read one after the other as if they were one file. items, users: side tables; a file in which an item
    has several rows (MovieLens tags) is one of `items`. name: what the person calls the data.
    """

    interactions: tuple[FileSource, ...] = ()
    items: tuple[FileSource, ...] = ()
    users: tuple[FileSource, ...] = ()
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    name: str = ""

    @classmethod
    def of(
        cls,
        interactions: Iterable[Path | str] = (),
        items: Iterable[Path | str] | Path | str | None = None,
        users: Iterable[Path | str] | Path | str | None = None,
        *,
        roles: Mapping[str, Role | str] | None = None,
        options: ReadOptions | None = None,
        cleaning: CleaningOptions | None = None,
        name: str = "",
    ) -> Self:
        """A request from paths. `roles` holds for every file that has the column, `options` for the interaction files.

        Raises
        ------
        InvalidParameter: a role is unknown.
        """
        known = {column: parse_role(column, role) for column, role in (roles or {}).items()}
        chosen = options or ReadOptions()
        return cls(
            tuple(FileSource(Path(path), known, chosen) for path in _paths(interactions)),
            tuple(FileSource(Path(path), known) for path in _paths(items)),
            tuple(FileSource(Path(path), known) for path in _paths(users)),
            cleaning or CleaningOptions(),
            name,
        )

    def named(self, name: str) -> BuildRequest:
        """The same request under another name."""
        return replace(self, name=name)


def _paths(paths: Iterable[Path | str] | Path | str | None) -> list[Path]:
    if paths is None:
        return []
    if isinstance(paths, str | Path):
        return [Path(paths)]
    return [Path(path) for path in paths]


def parse_role(column: str, role: Role | str) -> Role:
    """A role from its name.

    Raises
    ------
    InvalidParameter: of ``role``, naming the column and the roles there are.
    """
    try:
        return Role(str(role).strip().lower())
    except ValueError:
        raise InvalidParameter(
            "role", f"column '{column}' cannot be '{role}'; the roles are {', '.join(known.value for known in Role)}"
        ) from None
