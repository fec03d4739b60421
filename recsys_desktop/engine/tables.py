"""The files that requests come with: pairs to predict, and a person's history; read as data files are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recsys_desktop.api.dataset import RatingScale
from recsys_desktop.api.roles import Role
from recsys_desktop.engine.errors import Misuse
from recsys_desktop.engine.requests import HistoryEntry

if TYPE_CHECKING:
    from recsys_desktop.api.extensions import ReaderSpec


def number(text: str) -> float:
    """The number that a cell holds, NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


class _Cells(NamedTuple):
    """The rows of a file. columns: role -> its texts, a decimal point in ratings. names: role -> the column's name."""

    lines: list[int]
    columns: dict[Role, list[str]]
    names: dict[Role, str]


def read_pairs(
    path: Path, roles: Mapping[str, Role] | None = None, readers: Sequence[ReaderSpec] | None = None
) -> tuple[list[str], list[str], list[str]]:
    """The users, items and (empty where there are none) ratings of the rows of a file, as text.

    Layout and roles are guessed as for data files. roles: column -> role, over the guess. readers: all that may be
    used, the built-in ones where None.

    Raises
    ------
    Misuse: the file cannot be read, or a column is missing; names the line where a row is short.
    """
    cells = _read(path, (Role.USER, Role.ITEM), roles or {}, readers)
    return cells.columns[Role.USER], cells.columns[Role.ITEM], cells.columns[Role.RATING]


def read_history(
    path: Path,
    roles: Mapping[str, Role] | None = None,
    readers: Sequence[ReaderSpec] | None = None,
    scale: RatingScale | None = None,
) -> list[HistoryEntry]:
    """A person's history from a file with items and, where there are, ratings and times.

    roles, readers: as `read_pairs`. scale: that of the data, which ratings must keep to.

    Raises
    ------
    Misuse: as `read_pairs`; the file holds several people; a rating is no number or outside the scale, or a time
    cannot be read: names line and column.
    """
    cells = _read(path, (Role.ITEM,), roles or {}, readers)
    people = dict.fromkeys(user for user in cells.columns[Role.USER] if user)
    if len(people) > 1:
        raise Misuse(f"{path} holds {len(people)} people ({', '.join(list(people)[:3])}, …): a history is that of one")
    moments = _moments(path, cells)
    entries: list[HistoryEntry] = []
    for row, line in enumerate(cells.lines):
        text = cells.columns[Role.RATING][row]
        if text:
            where = f"{path}, line {line}, column {cells.names[Role.RATING]}"
            rating = number(text)
            if not math.isfinite(rating):
                raise Misuse(f"{where}: '{text}' is not a number")
            if scale is not None and not scale.minimum <= rating <= scale.maximum:
                raise Misuse(
                    f"{where}: {text} is outside the scale of the data, {scale.minimum:g} to {scale.maximum:g}"
                )
        entries.append((cells.columns[Role.ITEM][row], number(text) if text else None, moments[row]))
    return entries


def _moments(path: Path, cells: _Cells) -> list[int | None]:
    """Seconds since 1970 of each row, None where it has no time."""
    import pyarrow as pa

    from recsys_desktop.data.timestamps import guess_time_format, seconds

    texts = cells.columns[Role.TIMESTAMP]
    if not any(texts):
        return [None] * len(texts)
    found = guess_time_format(texts)
    values, missing = (None, None) if found is None else seconds(pa.array(texts, pa.string()), found)
    moments: list[int | None] = []
    for row, (line, text) in enumerate(zip(cells.lines, texts, strict=True)):
        if not text:
            moments.append(None)
        elif values is None or missing is None or missing[row]:
            raise Misuse(f"{path}, line {line}, column {cells.names[Role.TIMESTAMP]}: '{text}' is not a time")
        else:
            moments.append(int(values[row]))
    return moments


_USED = (Role.USER, Role.ITEM, Role.RATING, Role.TIMESTAMP)


def _read(
    path: Path, required: tuple[Role, ...], roles: Mapping[str, Role], readers: Sequence[ReaderSpec] | None
) -> _Cells:
    """The used columns of a file as text, with the line of each row."""
    import numpy as np

    from recsys_desktop.api.run import RunContext
    from recsys_desktop.data import DataFileError, FileKind, FileSource, ReadOptions
    from recsys_desktop.data.opening import open_file, text_cells

    try:
        opened = open_file(FileSource(path, dict(roles), ReadOptions()), readers, FileKind.INTERACTIONS)
        names = {role: name for role in _USED if (name := opened.column(role)) is not None}
        missing = [role.value for role in required if role not in names]
        if missing:
            there = ", ".join(opened.table.column_names())
            raise Misuse(f"{path}: no column holds the {missing[0]} (found: {there}); call it '{missing[0]}'")
        opened.require(*required)
        lines: list[int] = []
        columns: dict[Role, list[str]] = {role: [] for role in _USED}
        for batch in opened.table.batches(list(names.values()), RunContext()):
            if batch.rejected:
                short = batch.rejected[0]
                raise Misuse(f"{path}, {opened.table.line_word} {short.line}: {short.reason}")
            lines += batch.lines.at(np.arange(batch.rows)).tolist()
            for role in _USED:
                texts = text_cells(batch.columns[names[role]])[0] if role in names else [""] * batch.rows
                columns[role] += [text.strip() for text in texts]
    except DataFileError as error:
        raise Misuse(str(error)) from error
    if opened.table.decimal == ",":
        columns[Role.RATING] = [text.replace(",", ".") for text in columns[Role.RATING]]
    for role in required:
        for line, text in zip(lines, columns[role], strict=True):
            if not text:
                raise Misuse(f"{path}, {opened.table.line_word} {line}: {role.value} is missing")
    return _Cells(lines, columns, names)
