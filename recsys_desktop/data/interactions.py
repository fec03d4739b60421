"""Read interaction files row by row into arrays, leaving out and noting every row that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import UnreadableColumn
from recsys_desktop.data.opening import OpenedFile, text_cells
from recsys_desktop.data.read_ahead import read_ahead
from recsys_desktop.data.report import Action, Problem, ProblemKind
from recsys_desktop.data.request import CleaningOptions
from recsys_desktop.data.side_tables import ATTRIBUTE_ROLES, SideTable
from recsys_desktop.data.table import Batch, Preference, RowLines, check_stop
from recsys_desktop.data.texts import ArrowTexts
from recsys_desktop.data.timestamps import TimeFormat, guess_time_format, seconds
from recsys_desktop.data.values import as_text, numbers, trimmed

if TYPE_CHECKING:
    import pyarrow as pa

Number = TypeVar("Number", bound=np.generic)

OPTIONAL_ROLES = (Role.RATING, Role.TIMESTAMP, Role.EVENT, Role.WEIGHT)

_OK, _MISSING, _UNPARSABLE, _NOT_FINITE, _OUT_OF_RANGE = range(5)
_STATUS_KINDS = {
    _MISSING: ProblemKind.MISSING_RATING,
    _UNPARSABLE: ProblemKind.UNPARSABLE_RATING,
    _NOT_FINITE: ProblemKind.NOT_FINITE_RATING,
    _OUT_OF_RANGE: ProblemKind.RATING_OUT_OF_RANGE,
}
_WORDS = {
    ProblemKind.UNPARSABLE_ROW: (
        "row does not have the number of columns of the file",
        "rows do not have the number of columns of the file",
    ),
    ProblemKind.MISSING_USER: ("row has no user", "rows have no user"),
    ProblemKind.MISSING_ITEM: ("row has no item", "rows have no item"),
    ProblemKind.MISSING_RATING: ("row has no rating", "rows have no rating"),
    ProblemKind.UNPARSABLE_RATING: ("rating is no number", "ratings are no numbers"),
    ProblemKind.NOT_FINITE_RATING: ("rating is not finite", "ratings are not finite"),
    ProblemKind.RATING_OUT_OF_RANGE: ("rating is out of range", "ratings are out of range"),
    ProblemKind.UNPARSABLE_TIME: ("time is missing or cannot be read", "times are missing or cannot be read"),
    ProblemKind.REPEATED_PAIR: ("row repeats a user-item pair", "rows repeat a user-item pair"),
    ProblemKind.TOO_FEW_INTERACTIONS: ("row", "rows"),
    ProblemKind.OVERLAP_OF_PARTS: ("row", "rows"),
    ProblemKind.INVALID_WEIGHT: ("weight is not a positive number", "weights are not positive numbers"),
}
_ADVICE = {
    ProblemKind.MISSING_RATING: "Set feedback to implicit to count these rows as interactions",
    ProblemKind.UNPARSABLE_TIME: "Give the column the role 'ignore' to keep these rows without times",
}


class DayAndMonthSwapped(Exception):
    """The times of a file turned out to be written the other way round: read again with `time_format`."""

    def __init__(self, path: str, time_format: TimeFormat) -> None:
        super().__init__(path)
        self.path = path
        self.time_format = time_format


class Place(NamedTuple):
    """Where a stretch of kept rows comes from: the first row's position, the file's name, the lines."""

    start: int
    file: str
    lines: RowLines


@dataclass
class Interactions:
    """Usable rows of all interaction files, in order.

    users, items: int32 (n,), codes into `user_ids`, `item_ids` (Arrow text; some may have lost all their rows).
    ratings: float32 (n,), NaN where an event has none; weights: float64 (n,); timestamps: int64 (n,), seconds;
    events: int32 (n,) into `event_names`; parts: int8 (n,), which of several data sets a row belongs to.
    attributes: what the rows say about their items. rows_read: data rows, unusable ones included.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    user_ids: pa.Array
    item_ids: pa.Array
    ratings: npt.NDArray[np.float32] | None
    weights: npt.NDArray[np.float64] | None
    timestamps: npt.NDArray[np.int64] | None
    events: npt.NDArray[np.int32] | None
    event_names: tuple[str, ...]
    parts: npt.NDArray[np.int8] | None
    places: Sequence[Place]
    rows_read: int
    problems: list[Problem]
    attributes: list[SideTable]
    rows: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the rows where `kept` (bool (n,)) is False; `lines` still finds the others."""
        if kept.all():
            return
        chosen = np.flatnonzero(kept)
        self.rows = chosen if self.rows is None else self.rows[chosen]
        for name in ("users", "items", "ratings", "weights", "timestamps", "events", "parts"):
            array = getattr(self, name)
            if array is not None:
                setattr(self, name, array[chosen])

    def located(self, rows: npt.NDArray[np.int64]) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """By file name: the positions within `rows` that come from it, and their lines."""
        original = rows if self.rows is None else self.rows[rows]
        starts = np.array([place.start for place in self.places], dtype=np.int64)
        place_of = np.searchsorted(starts, original, side="right") - 1
        found: dict[str, list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]] = {}
        for index in np.unique(place_of):
            place = self.places[index]
            positions = np.flatnonzero(place_of == index)
            lines = place.lines.at(original[positions] - place.start)
            found.setdefault(place.file, []).append((positions, lines))
        return {
            file: (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
            for file, parts in found.items()
        }


@dataclass
class _Noted:
    """Problems of one kind, column and file, batch after batch."""

    lines: list[npt.NDArray[np.int64]] = field(default_factory=list)
    values: list[pa.Array] = field(default_factory=list)


@dataclass
class InteractionReader:
    """Reads interaction files one after the other; `finish` gives what they hold together.

    roles: the optional roles that every file has. time_formats: by file path, where they are not to be guessed.
    keep_unrated: keep rows without a rating (their event may count).
    """

    roles: frozenset[Role]
    cleaning: CleaningOptions
    run: RunContext
    keep_unrated: bool = False
    time_formats: Mapping[str, TimeFormat] = field(default_factory=dict)
    _users: list[pa.DictionaryArray] = field(default_factory=list)
    _items: list[pa.DictionaryArray] = field(default_factory=list)
    _events: list[pa.DictionaryArray] = field(default_factory=list)
    _ratings: list[npt.NDArray[np.float32]] = field(default_factory=list)
    _weights: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _timestamps: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _parts: list[npt.NDArray[np.int8]] = field(default_factory=list)
    _places: list[Place] = field(default_factory=list)
    _noted: dict[tuple[str, str, ProblemKind], _Noted] = field(default_factory=dict)
    _attributes: list[SideTable] = field(default_factory=list)
    _rows_read: int = 0
    _rows_kept: int = 0
    used_formats: dict[str, TimeFormat] = field(default_factory=dict)

    def read(self, opened: OpenedFile, part: int = 0, begin: float = 0.0, end: float = 1.0) -> int:
        """Read one file; progress goes from `begin` to `end`. Returns how many data rows it has.

        Raises
        ------
        UnreadableColumn: a rating or time column holds something else. ReadingStopped. DayAndMonthSwapped.
        """
        names = {role: opened.column(role) for role in (Role.USER, Role.ITEM, *self.roles)}
        columns = {role: name for role, name in names.items() if name is not None}
        attributes = [name for name, role in opened.roles.items() if role in ATTRIBUTE_ROLES]
        time_format = self._time_format(opened, columns.get(Role.TIMESTAMP))
        gathered = _Attributes(opened, attributes)
        before = self._rows_read
        first = True
        time_column = columns.get(Role.TIMESTAMP)
        encoded = frozenset((*columns.values(), *attributes)) - {time_column}
        whole = frozenset((time_column,)) if time_column and time_format and time_format.kind == "unix" else frozenset()
        preferred = Preference(encoded, whole)
        batches = opened.table.batches([*columns.values(), *attributes], self.run, preferred)
        for batch in read_ahead(batches) if self.run.threads > 1 else batches:
            self._take(opened, batch, columns, time_format, part, first, gathered)
            first = False
            fraction = begin + (end - begin) * batch.fraction
            self.run.progress(fraction, f"Reading {opened.table.path.name}: {self._rows_read:,} rows")
        if attributes:
            self._attributes.append(gathered.side_table())
        return self._rows_read - before

    def _time_format(self, opened: OpenedFile, column: str | None) -> TimeFormat | None:
        if column is None:
            return None
        path = str(opened.table.path)
        found = self.time_formats.get(path)
        if found is None:
            values, _ = text_cells(opened.sample.columns[column])
            found = guess_time_format(values)
            if found is None:
                example = next((value for value in values if value.strip()), "")
                raise UnreadableColumn(
                    opened.table.path,
                    f"no time format reads values such as '{example}'" if example else "the column is empty",
                    line=int(opened.sample.lines.at(np.zeros(1, dtype=np.int64))[0]),
                    column=column,
                    advice="Give the column the role 'ignore' to import without times",
                )
        self.used_formats[path] = found
        return found

    def _take(
        self,
        opened: OpenedFile,
        batch: Batch,
        columns: Mapping[Role, str],
        time_format: TimeFormat | None,
        part: int,
        first: bool,
        attributes: _Attributes,
    ) -> None:
        import pyarrow as pa

        file = opened.table.path.name
        self._rows_read += batch.rows + len(batch.rejected)
        if batch.rejected:
            noted = self._noted.setdefault((file, "", ProblemKind.UNPARSABLE_ROW), _Noted())
            noted.lines.append(np.array([row.line for row in batch.rejected], dtype=np.int64))
            noted.values.append(pa.array([row.text for row in batch.rejected], pa.string()))
        if not batch.rows:
            return
        users = encode(batch.columns[columns[Role.USER]])
        items = encode(batch.columns[columns[Role.ITEM]])
        bad = np.zeros(batch.rows, dtype=np.bool_)

        def leave_out(kind: ProblemKind, role: Role, wrong: npt.NDArray[np.bool_]) -> None:
            rows = np.flatnonzero(wrong & ~bad)
            if len(rows):
                self._note(file, columns[role], kind, batch, rows)
                bad[rows] = True

        leave_out(ProblemKind.MISSING_USER, Role.USER, _is_empty(users))
        leave_out(ProblemKind.MISSING_ITEM, Role.ITEM, _is_empty(items))
        ratings = None
        if Role.RATING in columns:
            ratings, status = self._rated(batch.columns[columns[Role.RATING]], opened.table.decimal)
            if first:
                _refuse_text(opened, batch, columns[Role.RATING], status)
            for code, kind in _STATUS_KINDS.items():
                if not (code == _MISSING and self.keep_unrated):
                    leave_out(kind, Role.RATING, status == code)
        weights = None
        if Role.WEIGHT in columns:
            weights, _ = numbers(batch.columns[columns[Role.WEIGHT]], opened.table.decimal)
            leave_out(ProblemKind.INVALID_WEIGHT, Role.WEIGHT, ~_positive(weights))
        times = None
        if time_format is not None:
            written = batch.columns[columns[Role.TIMESTAMP]]
            times, unread = seconds(written, time_format)
            swapped = time_format.swapped if time_format.ambiguous and unread.any() else None
            if swapped is not None and seconds(written, swapped)[1].sum() < unread.sum():
                raise DayAndMonthSwapped(str(opened.table.path), swapped)
            leave_out(ProblemKind.UNPARSABLE_TIME, Role.TIMESTAMP, unread)
        events = encode(batch.columns[columns[Role.EVENT]]) if Role.EVENT in columns else None
        self._keep(batch, file, part, bad, users, items, ratings, weights, times, events, attributes)

    def _keep(
        self,
        batch: Batch,
        file: str,
        part: int,
        bad: npt.NDArray[np.bool_],
        users: pa.DictionaryArray,
        items: pa.DictionaryArray,
        ratings: npt.NDArray[np.float64] | None,
        weights: npt.NDArray[np.float64] | None,
        times: npt.NDArray[np.int64] | None,
        events: pa.DictionaryArray | None,
        attributes: _Attributes,
    ) -> None:
        import pyarrow as pa

        lines = batch.lines
        if bad.any():
            kept = np.flatnonzero(~bad)
            lines = lines.take(kept)
            selection = pa.array(kept)
            users, items = users.take(selection), items.take(selection)
            ratings = None if ratings is None else ratings[kept]
            weights = None if weights is None else weights[kept]
            times = None if times is None else times[kept]
            events = None if events is None else events.take(selection)
        else:
            kept = None
        attributes.add(batch, items, kept, lines)
        self._places.append(Place(self._rows_kept, file, lines))
        self._rows_kept += len(users)
        self._users.append(users)
        self._items.append(items)
        self._parts.append(np.full(len(users), part, dtype=np.int8))
        if ratings is not None:
            self._ratings.append(ratings.astype(np.float32))
        if weights is not None:
            self._weights.append(weights)
        if times is not None:
            self._timestamps.append(times)
        if events is not None:
            self._events.append(events)

    def _rated(self, array: pa.Array, decimal: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """Ratings, and for each row whether it can be used or why not."""
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        distinct = encoded.dictionary
        values, unparsable = numbers(distinct, decimal)
        status = np.full(len(values) + 1, _OK, dtype=np.uint8)
        status[-1] = _MISSING
        minimum, maximum = self.cleaning.rating_minimum, self.cleaning.rating_maximum
        usable = status[:-1]
        with np.errstate(invalid="ignore", over="ignore"):
            usable[~np.isfinite(values.astype(np.float32))] = _NOT_FINITE
            if minimum is not None:
                usable[np.isfinite(values) & (values < minimum)] = _OUT_OF_RANGE
            if maximum is not None:
                usable[np.isfinite(values) & (values > maximum)] = _OUT_OF_RANGE
        usable[unparsable] = _UNPARSABLE
        if pa.types.is_string(distinct.type):
            for position in np.flatnonzero(np.isnan(values) & ~unparsable):
                if str(distinct[int(position)]).strip().casefold() != "nan":
                    status[position] = _MISSING
        values = np.append(values, np.nan)
        indices = pc.fill_null(encoded.indices, pa.scalar(len(values) - 1, encoded.indices.type)).to_numpy()
        return values[indices], status[indices]

    def _note(self, file: str, column: str, kind: ProblemKind, batch: Batch, rows: npt.NDArray[np.int64]) -> None:
        import pyarrow as pa

        noted = self._noted.setdefault((file, column, kind), _Noted())
        noted.lines.append(batch.lines.at(rows))
        text = as_text(batch.columns[column].take(pa.array(rows)))
        noted.values.append(text.dictionary_decode() if pa.types.is_dictionary(text.type) else text)

    def finish(self) -> Interactions:
        """All rows read so far; the reader is empty afterwards."""
        users, user_ids = _merged(self._users)
        check_stop(self.run)
        items, item_ids = _merged(self._items)
        check_stop(self.run)
        events, names = _merged(self._events) if self._events else (None, None)
        several = len({int(part[0]) for part in self._parts if len(part)}) > 1
        found = Interactions(
            users,
            items,
            user_ids,
            item_ids,
            _joined(self._ratings),
            _joined(self._weights),
            _joined(self._timestamps),
            events,
            tuple(names.to_pylist()) if names is not None else (),
            _joined(self._parts) if several else None,
            tuple(self._places),
            self._rows_read,
            [_problem(*key, noted) for key, noted in self._noted.items()],
            self._attributes,
        )
        self._parts.clear()
        return found


def _problem(file: str, column: str, kind: ProblemKind, noted: _Noted) -> Problem:
    lines = np.concatenate(noted.lines)
    values = ArrowTexts(noted.values)
    message = counted_problem(kind, len(lines))
    return Problem(kind, Action.LEFT_OUT, file, lines, message, column, values, _ADVICE.get(kind, ""))


def _positive(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which weights are finite and positive in single precision, as a Dataset holds them."""
    with np.errstate(over="ignore", under="ignore"):
        single = weights.astype(np.float32)
    return np.isfinite(single) & (single > 0)


def counted_problem(kind: ProblemKind, count: int) -> str:
    """A problem of rows as a sentence with its count."""
    one, many = _WORDS[kind]
    return f"{count:,} {one if count == 1 else many}"


def encode(array: pa.Array) -> pa.DictionaryArray:
    """Text as a dictionary with int32 codes in order of first appearance, white space around it taken away."""
    import pyarrow as pa

    text = trimmed(as_text(array))
    return text if pa.types.is_dictionary(text.type) else text.dictionary_encode()


def _is_empty(encoded: pa.DictionaryArray) -> npt.NDArray[np.bool_]:
    import pyarrow.compute as pc

    empty = pc.index(encoded.dictionary, "").as_py()
    if empty < 0:
        return np.zeros(len(encoded), dtype=np.bool_)
    return np.asarray(encoded.indices.to_numpy() == empty)


def _merged(chunks: list[pa.DictionaryArray]) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """Codes over all chunks in one dictionary, in order of first appearance; empties `chunks`."""
    import pyarrow as pa

    kind = pa.dictionary(pa.int32(), pa.string())
    column = pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind).unify_dictionaries()
    chunks.clear()
    if column.num_chunks == 0:
        return np.array([], dtype=np.int32), pa.array([], pa.string())
    codes = np.empty(len(column), dtype=np.int32)
    start = 0
    for chunk in column.chunks:
        codes[start : start + len(chunk)] = chunk.indices.to_numpy()
        start += len(chunk)
    return codes, column.chunk(0).dictionary


def _joined(parts: list[npt.NDArray[Number]]) -> npt.NDArray[Number] | None:
    """One array out of many; empties `parts` as it goes, so that little is held twice."""
    if not parts:
        return None
    out = np.empty(sum(map(len, parts)), dtype=parts[0].dtype)
    start = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        out[start : start + len(part)] = part
        start += len(part)
    return out


def _refuse_text(opened: OpenedFile, batch: Batch, column: str, status: npt.NDArray[np.uint8]) -> None:
    unparsable = status == _UNPARSABLE
    present = int((status != _MISSING).sum())
    if present and unparsable.sum() > 0.5 * present:
        row = np.flatnonzero(unparsable)[:1]
        value = text_cells(batch.columns[column].slice(int(row[0]), 1))[0][0]
        raise UnreadableColumn(
            opened.table.path,
            f"ratings are numbers, but most of this column is text such as '{value}'",
            line=int(batch.lines.at(row)[0]),
            column=column,
            advice="Give another column the role 'rating', or this one the role 'ignore' or 'event'",
        )


class _Attributes:
    """What the rows of an interaction file say about their items: for each item the first row that names it."""

    def __init__(self, opened: OpenedFile, columns: Sequence[str]) -> None:
        self._opened = opened
        self._names = list(columns)
        self._ids: list[pa.Array] = []
        self._values: dict[str, list[pa.Array]] = {name: [] for name in columns}
        self._lines: list[npt.NDArray[np.int64]] = []

    def add(self, batch: Batch, items: pa.DictionaryArray, kept: npt.NDArray[np.int64] | None, lines: RowLines) -> None:
        """Take in the kept rows of a batch."""
        if not self._names or not len(items):
            return
        import pyarrow as pa

        _, first = np.unique(items.indices.to_numpy(), return_index=True)
        first.sort()
        rows = pa.array(first if kept is None else kept[first])
        self._ids.append(items.take(pa.array(first)).dictionary_decode())
        self._lines.append(lines.at(first))
        for name in self._names:
            text = as_text(batch.columns[name].take(rows))
            self._values[name].append(text.dictionary_decode() if pa.types.is_dictionary(text.type) else text)

    def side_table(self) -> SideTable:
        """One row for each item."""
        import pyarrow as pa

        ids = pa.concat_arrays(self._ids) if self._ids else pa.array([], pa.string())
        codes = ids.dictionary_encode().indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        rows = pa.array(np.sort(first))
        lines = np.concatenate(self._lines) if self._lines else np.array([], dtype=np.int64)
        columns = {
            name: (pa.concat_arrays(parts) if parts else pa.array([], pa.string())).take(rows)
            for name, parts in self._values.items()
        }
        roles = {name: self._opened.roles[name] for name in self._names}
        return SideTable(
            self._opened.table.path.name,
            ids.take(rows),
            columns,
            roles,
            lines[rows.to_numpy()],
            len(rows),
            self._opened.separators,
            self._opened.table.decimal,
        )
