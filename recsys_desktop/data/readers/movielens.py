"""Read the MovieLens files without header: `u.data`, `u.item`, `u.user` of 100K, and the `::` files of 1M and 10M."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import UnknownFormat
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.readers.blocks import read_head
from recsys_desktop.data.readers.delimited import DelimitedFile, DelimitedTable, delimited_file
from recsys_desktop.data.readers.sniffing import sniff_text
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import ANY_TYPE, SAMPLE_ROWS, Batch, Preference, SourceColumn, Table, table_reader

if TYPE_CHECKING:
    import pyarrow as pa

GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
AGES = {
    "1": "under 18",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56 and over",
}
OCCUPATIONS = (
    "other",
    "academic or educator",
    "artist",
    "clerical or administrative",
    "college or graduate student",
    "customer service",
    "doctor or health care",
    "executive or managerial",
    "farmer",
    "homemaker",
    "school student",
    "lawyer",
    "programmer",
    "retired",
    "sales or marketing",
    "scientist",
    "self-employed",
    "technician or engineer",
    "tradesman or craftsman",
    "unemployed",
    "writer",
)

_REASON = "the layout of MovieLens says so"
_HEAD_BYTES = 1 << 16
_LOOKED_AT = 50
_UNMISTAKABLE_DELIMITER = "::"


def _column(name: str, role: Role, separator: str | None = None) -> SourceColumn:
    return SourceColumn(name, role=role, reason=_REASON, separator=separator)


@dataclass(frozen=True)
class Layout:
    """One kind of MovieLens file. line: what every line looks like. values: names of coded values, by column."""

    words: str
    kind: FileKind
    delimiter: str
    line: re.Pattern[str]
    columns: tuple[SourceColumn, ...]
    values: Mapping[str, Mapping[str, str]]


_RATINGS = (
    _column("user", Role.USER),
    _column("movie", Role.ITEM),
    _column("rating", Role.RATING),
    _column("timestamp", Role.TIMESTAMP),
)
_FLAGGED_MOVIES = (
    _column("movie", Role.ITEM),
    _column("title", Role.TITLE),
    _column("release date", Role.NUMERIC),
    _column("video release date", Role.IGNORE),
    _column("IMDb URL", Role.IGNORE),
)

LAYOUTS = (
    Layout(
        "ratings of MovieLens 100K",
        FileKind.INTERACTIONS,
        "\t",
        re.compile(r"\d+\t\d+\t\d(?:\.\d)?\t\d{9,10}"),
        _RATINGS,
        {},
    ),
    Layout(
        "movies of MovieLens 100K",
        FileKind.ITEMS,
        "|",
        re.compile(r"\d+\|[^|]*\|[^|]*\|[^|]*\|[^|]*(?:\|[01]){19}"),
        (*_FLAGGED_MOVIES, _column("genres", Role.TAGS)),
        {},
    ),
    Layout(
        "people of MovieLens 100K",
        FileKind.USERS,
        "|",
        re.compile(r"\d+\|\d+\|[MF]\|[^|]*\|[^|]*"),
        (
            _column("user", Role.USER),
            _column("age", Role.NUMERIC),
            _column("gender", Role.CATEGORY),
            _column("occupation", Role.CATEGORY),
            _column("zip code", Role.IGNORE),
        ),
        {},
    ),
    Layout(
        "ratings of MovieLens 1M or 10M",
        FileKind.INTERACTIONS,
        "::",
        re.compile(r"\d+::\d+::\d(?:\.\d)?::\d+"),
        _RATINGS,
        {},
    ),
    Layout(
        "people of MovieLens 1M",
        FileKind.USERS,
        "::",
        re.compile(r"\d+::[MF]::\d+::\d+::[^:]*"),
        (
            _column("user", Role.USER),
            _column("gender", Role.CATEGORY),
            _column("age", Role.CATEGORY),
            _column("occupation", Role.CATEGORY),
            _column("zip code", Role.IGNORE),
        ),
        {"age": AGES, "occupation": {str(code): name for code, name in enumerate(OCCUPATIONS)}},
    ),
    Layout(
        "tags of MovieLens 10M",
        FileKind.ITEMS,
        "::",
        re.compile(r"\d+::\d+::.*::\d{9,10}"),
        (
            _column("user", Role.IGNORE),
            _column("movie", Role.ITEM),
            _column("tag", Role.TAGS, separator=""),
            _column("timestamp", Role.IGNORE),
        ),
        {},
    ),
    Layout(
        "movies of MovieLens 1M or 10M",
        FileKind.ITEMS,
        "::",
        re.compile(r"\d+::.+::[A-Z(][^:]*"),
        (
            _column("movie", Role.ITEM),
            _column("title", Role.TITLE),
            _column("genres", Role.TAGS, separator="|"),
        ),
        {},
    ),
)


class MovieLensTable(DelimitedTable):
    """A MovieLens file without header; genre flags become a list of genres, coded values their names."""

    width_advice = "The form of a MovieLens file is fixed: repair these lines"

    def __init__(self, file: DelimitedFile, words: dict[str, str], layout: Layout) -> None:
        super().__init__(file, words, layout.columns, layout.kind, READER.id)
        self._values = layout.values
        self._flags = [name for name in file.names if name not in self.column_names()]

    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
        """As `Table.batches`."""
        self.require(columns)
        for batch in self._raw_batches(self._in_file(columns), run, preferred):
            yield self._finished(batch, columns)

    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """As `Table.sample`."""
        batch = next(self._raw_batches(self._in_file(self.column_names()), RunContext(), ANY_TYPE))
        kept = min(rows, batch.rows)
        cut = batch._replace(columns={name: array.slice(0, kept) for name, array in batch.columns.items()}, rows=kept)
        return self._finished(cut, self.column_names())

    def _in_file(self, columns: Sequence[str]) -> list[str]:
        return [name for wanted in columns for name in ((wanted,) if wanted in self.file.names else self._flags)]

    def _finished(self, batch: Batch, columns: Sequence[str]) -> Batch:
        arrays = {}
        for name in columns:
            if name not in self.file.names:
                arrays[name] = genre_lists([batch.columns[flag] for flag in self._flags], self._flags)
            elif name in self._values:
                arrays[name] = _named(batch.columns[name], self._values[name])
            else:
                arrays[name] = batch.columns[name]
        return batch._replace(columns=arrays)


def genre_lists(flags: Sequence[pa.Array], names: Sequence[str]) -> pa.Array:
    """Lists of the names whose flag is 1, from one array of "0" and "1" for each name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = np.stack([pc.equal(flag, "1").to_numpy(zero_copy_only=False) for flag in flags], axis=1)
    offsets = np.concatenate(([0], np.cumsum(table.sum(axis=1)))).astype(np.int32)
    values = pa.DictionaryArray.from_arrays(pa.array(np.nonzero(table)[1].astype(np.int32)), pa.array(list(names)))
    return pa.ListArray.from_arrays(pa.array(offsets), values.dictionary_decode())


def _named(array: pa.Array, names: Mapping[str, str]) -> pa.Array:
    import pyarrow as pa

    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    texts = [names.get(code.strip(), code) for code in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string())).dictionary_decode()


def layout_of(head: bytes) -> Layout | None:
    """The layout that every one of the first lines has, or None.

    Where `::` divides them, the first layout that half of the lines have is enough: the others are damaged, unless the
    first is a line of column names.
    """
    lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    whole = [line for line in lines[: _LOOKED_AT + 1] if line.strip()]
    if len(lines) <= _LOOKED_AT and len(head) >= _HEAD_BYTES:
        whole = whole[:-1]
    if not whole or not whole[0][0].isdigit():
        return None
    for layout in LAYOUTS:
        fitting = sum(layout.line.fullmatch(line) is not None for line in whole)
        needed = len(whole) / 2 if layout.delimiter == _UNMISTAKABLE_DELIMITER else len(whole)
        if fitting >= needed:
            return layout
    return None


def sniff_movielens(path: Path, head: bytes) -> float:
    """Sure where the lines have the form of one of the files."""
    return 0.9 if layout_of(head) is not None else 0.0


def open_movielens(path: Path, options: ReadOptions) -> Table:
    """Open a MovieLens file without header.

    Raises
    ------
    UnknownFormat: its lines have none of the forms. What `open_delimited` raises.
    """
    layout = layout_of(read_head(path, _HEAD_BYTES))
    if layout is None:
        raise UnknownFormat(path, "the lines do not have the form of a MovieLens file without header")
    given = replace(options, delimiter=layout.delimiter, quoting=False, header=False)
    sniffed = sniff_text(path, given)
    names = [column.name for column in layout.columns]
    if names[-1] == "genres" and layout.delimiter == "|":
        names = [*names[:-1], *GENRES]
    file = delimited_file(path, sniffed, names)
    return MovieLensTable(file, {"format": layout.words, **sniffed.words()}, layout)


READER = table_reader(
    "movielens",
    "MovieLens file without header",
    (".data", ".dat", ".item", ".user", ".base", ".test"),
    sniff_movielens,
    open_movielens,
    is_delimited=True,
)
