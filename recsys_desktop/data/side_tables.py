"""Side tables of items and users to feature columns whose rows follow a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.features import CategoryColumn, Column, NumericColumn, TagsColumn, TextColumn
from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.opening import OpenedFile
from recsys_desktop.data.report import Action, Problem, ProblemKind
from recsys_desktop.data.table import RejectedRow, Table
from recsys_desktop.data.texts import ArrowTexts, counted
from recsys_desktop.data.timestamps import TimeFormat, looks_like_times, seconds
from recsys_desktop.data.values import MISSING_TEXTS, as_text, is_missing, numbers, trimmed

if TYPE_CHECKING:
    import pyarrow as pa

ATTRIBUTE_ROLES = (Role.TITLE, Role.TEXT, Role.CATEGORY, Role.TAGS, Role.NUMERIC)

_NO_TAGS = frozenset(("(no genres listed)", "no genres listed", *MISSING_TEXTS))
_SAMPLE = 2000
_SECONDS_PER_YEAR = 365.2425 * 86_400
_UNITS = {
    "min": "min",
    "mins": "min",
    "minutes": "min",
    "hours": "h",
    "hour": "h",
    "hrs": "h",
    "h": "h",
    "days": "d",
    "weeks": "weeks",
    "seconds": "s",
    "sec": "s",
    "usd": "USD",
    "eur": "EUR",
    "gbp": "GBP",
    "pages": "pages",
    "kg": "kg",
    "km": "km",
}


@dataclass
class SideTable:
    """The rows of one side file: ids and cells as Arrow text (or lists), and where each row stands.

    ids: text (n,), without surrounding white space; rows without an id are left out and reported in `problems`.
    """

    name: str
    ids: pa.Array
    columns: dict[str, pa.Array]
    roles: Mapping[str, Role]
    lines: npt.NDArray[np.int64]
    rows_read: int
    separators: Mapping[str, str]
    decimal: str = "."
    problems: list[Problem] = field(default_factory=list)


def read_side_table(opened: OpenedFile, owner: Role, run: RunContext) -> SideTable:
    """Read the id column and all attribute columns of a side file.

    owner: `Role.ITEM` or `Role.USER`; exactly one column has it.
    """
    table, roles = opened.table, opened.roles
    import pyarrow as pa
    import pyarrow.compute as pc

    id_column = next(name for name, role in roles.items() if role is owner)
    names = [id_column, *(name for name, role in roles.items() if role in ATTRIBUTE_ROLES)]
    parts: dict[str, list[pa.Array]] = {name: [] for name in names}
    lines: list[npt.NDArray[np.int64]] = []
    rejected: list[RejectedRow] = []
    rows_read = 0
    for batch in table.batches(names, run):
        rejected.extend(batch.rejected)
        rows_read += batch.rows + len(batch.rejected)
        lines.append(batch.lines.at(np.arange(batch.rows)))
        for name in names:
            array = batch.columns[name]
            if name == id_column or roles[name] is not Role.NUMERIC:
                array = as_text(array)
                array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
            parts[name].append(array)
    arrays = {name: pa.concat_arrays(chunks) if chunks else pa.array([], pa.string()) for name, chunks in parts.items()}
    ids = trimmed(arrays.pop(id_column))
    where = np.concatenate(lines) if lines else np.array([], dtype=np.int64)
    problems = _rejected_problem(table, rejected)
    empty = pc.equal(ids, "").to_numpy(zero_copy_only=False)
    if empty.any():
        kind = ProblemKind.MISSING_ITEM if owner is Role.ITEM else ProblemKind.MISSING_USER
        count = int(empty.sum())
        problems.append(
            Problem(
                kind,
                Action.LEFT_OUT,
                table.path.name,
                where[empty],
                f"{count} {'row has' if count == 1 else 'rows have'} no {owner.value} id",
                id_column,
            )
        )
        kept = pa.array(~empty)
        ids, where = ids.filter(kept), where[~empty]
        arrays = {name: array.filter(kept) for name, array in arrays.items()}
    return SideTable(table.path.name, ids, arrays, roles, where, rows_read, opened.separators, table.decimal, problems)


def _rejected_problem(table: Table, rejected: Sequence[RejectedRow]) -> list[Problem]:
    if not rejected:
        return []
    count = len(rejected)
    return [
        Problem(
            ProblemKind.UNPARSABLE_ROW,
            Action.LEFT_OUT,
            table.path.name,
            np.array([row.line for row in rejected], dtype=np.int64),
            f"{count} {'row does' if count == 1 else 'rows do'} not have {counted(len(table.columns), 'column')}",
            values=[row.text for row in rejected],
        )
    ]


def feature_columns(
    table: SideTable, codes: npt.NDArray[np.int32], size: int, standardise: bool
) -> tuple[dict[str, Column], list[Problem]]:
    """The attribute columns of a side table, one row for each code.

    codes: int32 (rows,), the code of each row's id, -1 where the id is not wanted. size: how many codes there are.
    standardise: merge category names that differ in case and white space only. Where an id has several rows, tags are
    gathered from all of them and everything else comes from the first; that is reported unless the table has nothing
    but tags.
    """
    problems: list[Problem] = []
    first_row = _first_rows(codes, size)
    _report_repeated(table, codes, first_row, problems)
    columns: dict[str, Column] = {}
    for name, array in table.columns.items():
        role = table.roles[name]
        if role is Role.TAGS:
            columns[name] = _tags(table, name, array, codes, size, standardise, problems)
        elif role is Role.CATEGORY:
            columns[name] = _categories(table, name, array, standardise, problems).take(first_row)
        elif role is Role.NUMERIC:
            for part, column in _numeric(table, name, array, problems).items():
                columns[part] = column.take(first_row)
        else:
            columns[name] = _text(array, role).take(first_row)
    return columns, problems


def _first_rows(codes: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.int64]:
    first = np.full(size, -1, dtype=np.int64)
    rows = np.flatnonzero(codes >= 0)[::-1]
    first[codes[rows]] = rows
    return first


def _report_repeated(
    table: SideTable, codes: npt.NDArray[np.int32], first_row: npt.NDArray[np.int64], problems: list[Problem]
) -> None:
    import pyarrow as pa

    if all(table.roles[name] is Role.TAGS for name in table.columns):
        return
    known = codes >= 0
    repeated = np.zeros(len(codes), dtype=np.bool_)
    repeated[known] = first_row[codes[known]] != np.flatnonzero(known)
    if repeated.any():
        rows = np.flatnonzero(repeated)
        problems.append(
            Problem(
                ProblemKind.REPEATED_ENTRY,
                Action.MERGED,
                table.name,
                table.lines[rows],
                f"{len(rows)} {'row repeats' if len(rows) == 1 else 'rows repeat'} an id; its first row counts",
                values=ArrowTexts([table.ids.take(pa.array(rows))]),
            )
        )


def _text(array: pa.Array, role: Role) -> TextColumn:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(array.type):
        values = np.array([" ".join(cell) if cell else "" for cell in array.to_pylist()], dtype=object)
    else:
        values = pc.fill_null(pc.utf8_trim_whitespace(array), "").to_numpy(zero_copy_only=False).astype(object)
    for marker in ("NULL", "\\N", "null"):
        values[values == marker] = ""
    return TextColumn(values, role)


def _categories(
    table: SideTable, name: str, array: pa.Array, standardise: bool, problems: list[Problem]
) -> CategoryColumn:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(array.type):
        array = pa.array([" ".join(cell) if cell else "" for cell in array.to_pylist()], pa.string())
    encoded = pc.fill_null(pc.utf8_trim_whitespace(array), "").dictionary_encode()
    indices = encoded.indices.to_numpy().astype(np.int64)
    names = encoded.dictionary.to_pylist()
    mapping, categories = _category_codes(table, name, names, indices, standardise, problems)
    return CategoryColumn(mapping[indices] if len(mapping) else np.array([], np.int32), categories)


def _category_codes(
    table: SideTable,
    column: str,
    names: Sequence[str],
    indices: npt.NDArray[np.int64],
    standardise: bool,
    problems: list[Problem],
    missing: frozenset[str] = MISSING_TEXTS,
) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """For each name its category code (-1 where it means nothing), and the categories, in order of first appearance."""
    chosen = merged_spellings(names, indices) if standardise else {name: name for name in names}
    codes: dict[str, int] = {}
    mapping = np.full(len(names), -1, dtype=np.int32)
    for position, name in enumerate(names):
        if name.casefold() not in missing:
            mapping[position] = codes.setdefault(chosen[name], len(codes))
    merged = [name for name in names if chosen[name] != name]
    if merged:
        problems.append(
            Problem(
                ProblemKind.CATEGORY_MERGED,
                Action.MERGED,
                table.name,
                np.zeros(len(merged), dtype=np.int64),
                f"{len(merged)} {'spelling was' if len(merged) == 1 else 'spellings were'} merged",
                column,
                [f"{name} -> {chosen[name]}" for name in merged],
            )
        )
    return mapping, tuple(codes)


def merged_spellings(names: Sequence[str], indices: npt.NDArray[np.int64]) -> dict[str, str]:
    """For each name the most frequent spelling that differs from it in case and white space only."""
    counts = np.bincount(indices, minlength=len(names)) if len(indices) else np.zeros(len(names), dtype=np.int64)
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        groups.setdefault(re.sub(r"\s+", " ", name).strip().casefold(), []).append(position)
    chosen: dict[str, str] = {}
    for members in groups.values():
        best = max(members, key=lambda position: (counts[position], -position))
        for position in members:
            chosen[names[position]] = names[best]
    return chosen


def _tags(
    table: SideTable,
    name: str,
    array: pa.Array,
    codes: npt.NDArray[np.int32],
    size: int,
    standardise: bool,
    problems: list[Problem],
) -> TagsColumn:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(array.type):
        separator = table.separators.get(name, "")
        array = pc.split_pattern(pc.fill_null(array, ""), separator) if separator else _single_lists(array)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    encoded = pc.fill_null(pc.utf8_trim_whitespace(array.flatten()), "").dictionary_encode()
    indices = encoded.indices.to_numpy().astype(np.int64)
    mapping, categories = _category_codes(
        table, name, encoded.dictionary.to_pylist(), indices, standardise, problems, _NO_TAGS
    )
    tags = mapping[indices] if len(mapping) else np.array([], dtype=np.int32)
    owners = np.repeat(codes, lengths)
    kept = (owners >= 0) & (tags >= 0)
    pairs = owners[kept].astype(np.int64) * max(len(categories), 1) + tags[kept]
    _, first = np.unique(pairs, return_index=True)
    first.sort()
    owners, tags = owners[kept][first], tags[kept][first]
    order = np.argsort(owners, kind="stable")
    indptr = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=size)))).astype(np.int64)
    return TagsColumn(indptr, tags[order].astype(np.int32), categories)


def _single_lists(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(np.arange(len(array) + 1, dtype=np.int32)), array)


def _present(array: pa.Array) -> list[str]:
    return [value for value in array.slice(0, _SAMPLE).to_pylist() if value is not None and not is_missing(value)]


def _numeric(table: SideTable, name: str, array: pa.Array, problems: list[Problem]) -> dict[str, NumericColumn]:
    import pyarrow as pa

    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _number_lists(table, name, array, problems)
    found = _date_format(array)
    if found is not None:
        moments, missing = seconds(array, found)
        years = 1970 + moments / _SECONDS_PER_YEAR
        _report_numbers(table, name, array, missing & ~_missing_cells(array), "date", problems)
        return {name: NumericColumn(np.where(missing, np.nan, years).astype(np.float32), "year")}
    values, bad = numbers(array, table.decimal)
    _report_numbers(table, name, array, bad, "number", problems)
    values = np.where(np.isfinite(values), values, np.nan)
    return {name: NumericColumn(values.astype(np.float32), unit_of_name(name))}


def _missing_cells(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.array([value is None or is_missing(str(value)) for value in array.to_pylist()], dtype=np.bool_)


def _date_format(array: pa.Array) -> TimeFormat | None:
    """The format of a column of dates; numbers are numbers (a year is one), not Unix times."""
    import pyarrow as pa

    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return TimeFormat("iso")
    if not pa.types.is_string(array.type):
        return None
    return looks_like_times(_present(array))


def _report_numbers(
    table: SideTable, name: str, array: pa.Array, bad: npt.NDArray[np.bool_], word: str, problems: list[Problem]
) -> None:
    if bad.any():
        rows = np.flatnonzero(bad)
        problems.append(
            Problem(
                ProblemKind.UNPARSABLE_NUMBER,
                Action.KEPT,
                table.name,
                table.lines[rows],
                f"{len(rows)} {'value is' if len(rows) == 1 else 'values are'} no {word} and count as missing",
                name,
                [str(array[int(row)]) for row in rows],
            )
        )


def _number_lists(table: SideTable, name: str, array: pa.Array, problems: list[Problem]) -> dict[str, NumericColumn]:
    """One column for each place of lists of numbers, as embeddings are."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    values, bad = numbers(array.flatten(), table.decimal)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    bad_rows = np.zeros(len(lengths), dtype=np.bool_)
    bad_rows[owners[bad]] = True
    _report_numbers(table, name, array, bad_rows, "list of numbers", problems)
    places = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    columns: dict[str, NumericColumn] = {}
    for place in range(int(lengths.max(initial=0))):
        filled = np.full(len(lengths), np.nan, dtype=np.float32)
        chosen = places == place
        filled[owners[chosen]] = values[chosen]
        columns[f"{name} {place + 1}"] = NumericColumn(filled)
    return columns


def unit_of_name(name: str) -> str:
    """The unit that a column's name states: `"duration (min)"`, `"duration_minutes"`; empty where it states none."""
    words = re.split(r"[\s_()\[\]-]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold().strip(" )]"))
    return _UNITS.get(words[-1], "") if len(words) > 1 else ""
