"""Guess what the columns of a file are for, from their names and contents, with a reason for each guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recsys_desktop.api.roles import Role
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.names import normalised, role_of_name
from recsys_desktop.data.request import DEFAULT_EVENT_STRENGTHS
from recsys_desktop.data.table import SourceColumn
from recsys_desktop.data.timestamps import guess_time_format, looks_like_times
from recsys_desktop.data.values import is_missing

SEPARATORS = ("|", ";", ",", "/", " ")

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
_ITEM_ATTRIBUTES = (Role.TITLE, Role.TEXT, Role.CATEGORY, Role.TAGS)
_DOUBTFUL_RATING_NAMES = frozenset(("note", "nota", "grade", "mark", "vote", "voto", "preference", "overall", "rate"))
_EVENT_NAMES = frozenset(
    (
        *(entry.partition("=")[0] for entry in DEFAULT_EVENT_STRENGTHS),
        *("viewed", "clicked", "liked", "dislike", "play", "listen", "watch", "download", "share", "save", "bookmark"),
        *(
            "purchased",
            "bought",
            "order",
            "added",
            "remove",
            "rate",
            "rated",
            "read",
            "enrolled",
            "completed",
            "started",
        ),
    )
)
_LONG_TEXT = 60
_LONGEST_ID = 40


@dataclass(frozen=True)
class ColumnSample:
    """A column as far as guessing needs it. values: some cells as text; lists: the same as lists, or None."""

    column: SourceColumn
    values: Sequence[str]
    lists: Sequence[Sequence[str]] | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    def present(self) -> list[str]:
        """The values that are not missing."""
        return [value.strip() for value in self.values if not is_missing(value)]


@dataclass(frozen=True)
class RoleGuess:
    """The role of one column, why, and more about it ("Unix seconds").

    separator: of tags, between the values of a cell; empty where a cell holds one value, None where cells are lists.
    """

    role: Role
    reason: str
    detail: str = ""
    separator: str | None = None


@dataclass
class _Guesses:
    """The guesses so far, by column name; a role that may occur once is given to the first that claims it."""

    by_name: dict[str, RoleGuess] = field(default_factory=dict)

    def has(self, role: Role) -> bool:
        return any(guess.role is role for guess in self.by_name.values())

    def put(self, sample: ColumnSample, role: Role, reason: str, one_value: bool = False) -> None:
        """Decide on a column. one_value: a cell of tags is one tag, whatever characters it holds."""
        separator = None
        if role is Role.TAGS and sample.lists is None:
            separator = sample.column.separator
            if separator is None:
                separator = "" if one_value else separator_of(sample.present(), named_tags=True) or ""
        self.by_name[sample.name] = RoleGuess(role, reason, _detail(sample, role, separator), separator)


def guess_roles(
    samples: Sequence[ColumnSample],
    *,
    kind: FileKind | None = None,
    item_name: str | None = None,
    user_name: str | None = None,
    given: Mapping[str, Role] | None = None,
) -> tuple[FileKind, dict[str, RoleGuess]]:
    """What the rows are, and a guess for each column in file order.

    kind: what the rows are, where that is known. item_name, user_name: what the interactions call their ids, for side
    tables. given: roles that the person has chosen; they are kept, and the rest is guessed around them.
    """
    given = given or {}
    guesses = _Guesses()
    for sample in samples:
        if sample.name in given:
            guesses.put(sample, given[sample.name], "chosen by you")
        elif sample.column.role is not None:
            guesses.put(sample, sample.column.role, sample.column.reason)
    decided = kind or _guess_kind(samples, guesses)
    if decided is FileKind.INTERACTIONS:
        _guess_interactions(samples, guesses)
    else:
        _guess_side_table(samples, guesses, decided, item_name if decided is FileKind.ITEMS else user_name)
    return decided, {sample.name: guesses.by_name[sample.name] for sample in samples}


def _guess_kind(samples: Sequence[ColumnSample], guesses: _Guesses) -> FileKind:
    roles = {sample.name: guesses.by_name[sample.name].role for sample in samples if sample.name in guesses.by_name}
    named = {sample.name: roles.get(sample.name) or role_of_name(sample.name) for sample in samples}
    found = set(named.values())
    if Role.USER in found and Role.ITEM in found:
        only_tags = {normalised(name) for name, role in named.items() if role is Role.TAGS} & {"tag", "tags", "keyword"}
        if only_tags and not found & {Role.RATING, Role.EVENT, Role.WEIGHT} and Role.USER not in roles.values():
            return FileKind.ITEMS
        return FileKind.INTERACTIONS
    descriptive = {Role.TITLE, Role.TEXT, Role.TAGS, Role.CATEGORY, Role.NUMERIC}
    if Role.ITEM in found and Role.USER not in found:
        item = next(sample for sample in samples if named[sample.name] is Role.ITEM)
        return FileKind.ITEMS if found & descriptive or _is_distinct(item) else FileKind.INTERACTIONS
    if Role.USER in found and Role.ITEM not in found:
        return (
            FileKind.USERS if found & descriptive and not found & {Role.RATING, Role.EVENT} else FileKind.INTERACTIONS
        )
    if any(normalised(name) == "id" for name in named) and found & {Role.TITLE, Role.TEXT, Role.TAGS}:
        return FileKind.ITEMS
    if found & {Role.TITLE, Role.TEXT} and not found & {Role.RATING, Role.EVENT, Role.TIMESTAMP}:
        return FileKind.ITEMS
    return FileKind.INTERACTIONS


def _is_distinct(sample: ColumnSample) -> bool:
    return len(set(sample.values)) == len(sample.values)


def _guess_interactions(samples: Sequence[ColumnSample], guesses: _Guesses) -> None:
    open_columns = [sample for sample in samples if sample.name not in guesses.by_name]
    single = (Role.USER, Role.ITEM, Role.RATING, Role.TIMESTAMP, Role.EVENT, Role.WEIGHT)
    for sample in open_columns:
        role = role_of_name(sample.name)
        if role in single and not guesses.has(role) and _content_allows(sample, role):
            guesses.put(sample, role, f"its name says {role.value}")
    rest = [sample for sample in open_columns if sample.name not in guesses.by_name]
    _guess_by_content(rest, guesses)
    item = next((sample for sample in samples if _role(guesses, sample) is Role.ITEM), None)
    for sample in rest:
        if sample.name in guesses.by_name:
            continue
        role = role_of_name(sample.name)
        told = role is not Role.TEXT or (item is not None and not _is_distinct(item))
        if role in _ITEM_ATTRIBUTES and item is not None and told and _depends_on(sample, item):
            guesses.put(
                sample,
                role,
                f"its name says {role.value}, and it is the same for every row of an item",
            )
        else:
            guesses.put(sample, Role.IGNORE, "nothing in its name or values says what it is for")


def _role(guesses: _Guesses, sample: ColumnSample) -> Role | None:
    guess = guesses.by_name.get(sample.name)
    return guess.role if guess else None


def _content_allows(sample: ColumnSample, role: Role) -> bool:
    """A name is believed unless the values cannot be meant: a weight of words, a time that no format reads."""
    present = sample.present()
    if not present:
        return True
    if role is Role.WEIGHT or (role is Role.RATING and normalised(sample.name) in _DOUBTFUL_RATING_NAMES):
        return _share_of_numbers(present) > 0.5
    if role is Role.TIMESTAMP:
        return guess_time_format(present) is not None or _share_of_numbers(present) > 0.5
    if role is Role.EVENT:
        return len(set(present)) <= max(20, len(present) // 10) and _share_of_numbers(present) < 0.5
    return True


def _guess_by_content(samples: Sequence[ColumnSample], guesses: _Guesses) -> None:
    """Columns without a telling name: times by their form, ratings by their few values, ids by being first."""
    for sample in samples:
        if not guesses.has(Role.TIMESTAMP) and looks_like_times(sample.present()) is not None:
            guesses.put(sample, Role.TIMESTAMP, "its values look like times")
        elif not guesses.has(Role.EVENT) and _looks_like_events(sample.present()):
            guesses.put(sample, Role.EVENT, "its values are names of events")
    unnamed = [
        sample
        for sample in samples
        if sample.name not in guesses.by_name and (role_of_name(sample.name) not in _ITEM_ATTRIBUTES)
    ]
    if not guesses.has(Role.RATING) and not guesses.has(Role.EVENT) and not guesses.has(Role.WEIGHT):
        ids_wanted = (not guesses.has(Role.USER)) + (not guesses.has(Role.ITEM))
        for sample in unnamed[ids_wanted:]:
            if _looks_like_ratings(sample.present()):
                guesses.put(sample, Role.RATING, "its values are few numbers, as ratings are")
                break
    for role in (Role.USER, Role.ITEM):
        if guesses.has(role):
            continue
        for sample in unnamed:
            if sample.name not in guesses.by_name and _looks_like_ids(sample):
                guesses.put(sample, role, f"the first column left that may hold ids of a{_n(role)} {role.value}")
                break


def _n(role: Role) -> str:
    return "n" if role is Role.ITEM else ""


def _looks_like_ids(sample: ColumnSample) -> bool:
    present = sample.present()
    return bool(present) and sum(map(len, present)) / len(present) <= _LONGEST_ID


def _looks_like_events(present: Sequence[str]) -> bool:
    return bool(present) and sum(value.casefold() in _EVENT_NAMES for value in present) >= 0.8 * len(present)


def _looks_like_ratings(present: Sequence[str]) -> bool:
    if not present or _share_of_numbers(present) < 0.95:
        return False
    numbers = [float(value.replace(",", ".")) for value in present if _NUMBER.match(value)]
    return 2 <= len(set(numbers)) <= 21 and min(numbers) >= -10 and max(numbers) <= 100


def _share_of_numbers(present: Sequence[str]) -> float:
    return sum(bool(_NUMBER.match(value)) for value in present) / max(len(present), 1)


def _depends_on(sample: ColumnSample, item: ColumnSample) -> bool:
    """Whether rows of the same item carry the same value."""
    first: dict[str, str] = {}
    for key, value in zip(item.values, sample.values, strict=True):
        if value.strip() and first.setdefault(key, value) != value:
            return False
    return True


def _guess_side_table(
    samples: Sequence[ColumnSample], guesses: _Guesses, kind: FileKind, known_name: str | None
) -> None:
    owner = Role.ITEM if kind is FileKind.ITEMS else Role.USER
    if not guesses.has(owner):
        found = _id_column(samples, guesses, owner, known_name)
        if found is not None:
            sample, reason = found
            guesses.put(sample, owner, reason)
    many_rows = kind is FileKind.ITEMS and any(role_of_name(sample.name) is Role.USER for sample in samples)
    for sample in samples:
        if sample.name not in guesses.by_name:
            role, reason = _attribute_role(sample, guesses, kind, many_rows)
            guesses.put(sample, role, reason, one_value=many_rows)


def _id_column(
    samples: Sequence[ColumnSample], guesses: _Guesses, owner: Role, known_name: str | None
) -> tuple[ColumnSample, str] | None:
    free = [sample for sample in samples if sample.name not in guesses.by_name]
    for sample in free:
        if known_name is not None and normalised(sample.name) == normalised(known_name):
            return sample, "it has the name of the id in the interactions"
    named = [sample for sample in free if role_of_name(sample.name) is owner]
    for sample in sorted(named, key=lambda sample: not normalised(sample.name).endswith(("id", "isbn", "asin", "sku"))):
        return sample, f"its name says {owner.value}"
    for sample in free:
        if normalised(sample.name) in ("id", "key", "code", "index"):
            return sample, "its name says id"
    for sample in free:
        present = sample.present()
        if present and _is_distinct(sample) and _looks_like_ids(sample):
            return sample, "every row has another value, as ids have"
    return None


def _attribute_role(sample: ColumnSample, guesses: _Guesses, kind: FileKind, many_rows: bool) -> tuple[Role, str]:
    """What a column says about an item or a person. many_rows: rows are what people said, several an item."""
    if sample.lists is not None:
        return Role.TAGS, "its cells are lists"
    present = sample.present()
    if not present:
        return Role.IGNORE, "it is empty"
    named = role_of_name(sample.name)
    if many_rows and named is Role.TIMESTAMP:
        return Role.IGNORE, "it says when a person did it"
    if sum(value.startswith(("http://", "https://", "www.")) for value in present) > 0.5 * len(present):
        return Role.IGNORE, "its values are web addresses"
    if named in (Role.USER, Role.ITEM) or normalised(sample.name).endswith("id"):
        return Role.IGNORE, "it holds ids of something else"
    if named is Role.TITLE and not guesses.has(Role.TITLE) and kind is FileKind.ITEMS:
        return Role.TITLE, "its name says title"
    if named is Role.TEXT:
        return Role.TEXT, "its name says text"
    if looks_like_times(present) is not None:
        return Role.NUMERIC, "its values are dates; they are used as years"
    if _share_of_numbers(present) >= 0.95:
        return Role.NUMERIC, "its values are numbers"
    separator = separator_of(present, named is Role.TAGS)
    if separator is not None or named is Role.TAGS:
        return Role.TAGS, "its cells hold several values" if separator else "its name says tags"
    if named is Role.NUMERIC and _share_of_numbers(present) > 0.5:
        return Role.NUMERIC, "its name says number"
    if named is Role.CATEGORY:
        return Role.CATEGORY, "its name says category"
    if sum(map(len, present)) / len(present) > _LONG_TEXT:
        return Role.TEXT, "its values are long texts"
    distinct = len(set(present))
    if distinct <= max(20, 0.5 * len(present)):
        return Role.CATEGORY, "its values repeat, as categories do"
    if kind is FileKind.ITEMS and not guesses.has(Role.TITLE):
        return Role.TITLE, "nearly every item has its own short text"
    return (
        (Role.TEXT, "nearly every row has its own text")
        if kind is FileKind.ITEMS
        else (
            Role.IGNORE,
            "nearly every person has another text here",
        )
    )


def separator_of(present: Sequence[str], named_tags: bool) -> str | None:
    """What separates several values in a cell, or None where cells hold one value.

    named_tags: the column's name speaks of several values, so that a comma is believed sooner.
    """
    for separator in SEPARATORS[:3] if named_tags else SEPARATORS[:2]:
        having = sum(separator in value for value in present)
        if having < (0.02 if separator == "|" or named_tags else 0.3) * len(present) or having == 0:
            continue
        parts = Counter(part.strip() for value in present for part in value.split(separator))
        repeated = sum(count for count in parts.values() if count > 1) / sum(parts.values())
        if separator == "|" or repeated > 0.3 or named_tags:
            return separator
    if not named_tags:
        having = sum("," in value for value in present)
        parts = Counter(part.strip() for value in present for part in value.split(","))
        repeated = sum(count for count in parts.values() if count > 1) / sum(parts.values())
        short = sum(len(part) <= 25 for part in parts) / len(parts)
        if having > 0.3 * len(present) and repeated > 0.6 and short > 0.9 and len(parts) < 0.5 * len(present) + 10:
            return ","
    return None


def _detail(sample: ColumnSample, role: Role, separator: str | None) -> str:
    if role is Role.TIMESTAMP:
        found = guess_time_format(sample.values)
        return found.words if found else ""
    if separator is not None:
        return f"separated by '{separator}'" if separator else "one value a cell"
    return ""
