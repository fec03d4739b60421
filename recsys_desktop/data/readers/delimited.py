"""Read delimited text: CSV, TSV, and any other delimiter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import DataFileError, HeaderOnly, UnreadableColumn
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.readers.blocks import (
    Dialect,
    TextBlock,
    record_lines,
    text_blocks,
)
from recsys_desktop.data.readers.sniffing import TextLayout, sniff_text
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import (
    ANY_TYPE,
    SAMPLE_ROWS,
    Batch,
    Preference,
    RejectedRow,
    RowLines,
    SourceColumn,
    Table,
    check_stop,
    table_reader,
)
from recsys_desktop.data.texts import counted

if TYPE_CHECKING:
    import pyarrow as pa

EXTENSIONS = (".csv", ".tsv", ".txt", ".dat", ".data", ".tab", ".gz")

_SAMPLE_BLOCK_BYTES = 1 << 20
_COUNTED_BYTES = 1 << 25
_MOST_REJECTED_FIRST = 0.5


@dataclass(frozen=True)
class DelimitedFile:
    """Everything that reading needs to know. names: of all columns, in order. skip_lines: before the first data row."""

    path: Path
    dialect: Dialect
    skip_lines: int
    names: tuple[str, ...]
    decimal: str = "."


class DelimitedTable(Table):
    """A text table, parsed in blocks by Arrow; ids and all else stay text.

    width_advice: what to do where most rows have another number of columns than the file.
    """

    width_advice = "Give the delimiter, or switch quoting off"

    def __init__(
        self,
        file: DelimitedFile,
        layout: dict[str, str],
        columns: Sequence[SourceColumn] | None = None,
        kind: FileKind | None = None,
        reader: str | None = None,
    ) -> None:
        self.file = file
        self.path = file.path
        self.layout = layout
        self.decimal = file.decimal
        self.kind = kind
        self.columns = tuple(columns) if columns is not None else tuple(map(SourceColumn, file.names))
        self.options = ReadOptions(
            reader=reader,
            encoding=file.dialect.encoding,
            delimiter=file.dialect.delimiter,
            decimal=file.decimal,
            quoting=file.dialect.quoting,
        )

    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
        """As `Table.batches`."""
        self.require(columns)
        yield from self._raw_batches(columns, run, preferred)

    def _raw_batches(self, columns: Sequence[str], run: RunContext, preferred: Preference) -> Iterator[Batch]:
        """Batches of columns as they stand in the file, whatever columns the table declares."""
        check_stop(run)
        for block in text_blocks(self.path, self.file.dialect, self.file.skip_lines):
            yield self._batch(block, columns, preferred)
            check_stop(run)

    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """As `Table.sample`."""
        for block in text_blocks(self.path, self.file.dialect, self.file.skip_lines, _SAMPLE_BLOCK_BYTES):
            batch = self._batch(block, self.column_names(), ANY_TYPE)
            kept = min(rows, batch.rows)
            return batch._replace(
                columns={name: array.slice(0, kept) for name, array in batch.columns.items()}, rows=kept
            )
        raise HeaderOnly(self.path, "the file has column names and no rows")

    def count_rows(self) -> tuple[int, bool]:
        """As `Table.count_rows`: exact up to 32 MiB."""
        exact = self.path.stat().st_size <= _COUNTED_BYTES and self.path.suffix.lower() != ".gz"
        count = 0
        for block in text_blocks(self.path, self.file.dialect, self.file.skip_lines, _SAMPLE_BLOCK_BYTES):
            count += len(record_lines(block, self.file.dialect))
            if not exact:
                return round(count / max(block.fraction, 1e-9)), block.fraction == 1.0
        return count, True

    def _batch(self, block: TextBlock, columns: Sequence[str], preferred: Preference) -> Batch:
        arrays, rejected, count = parse_block(self.file, block, columns, preferred)
        lines, positions = _place(block, self.file.dialect, count, rejected)
        is_first = block.first_line == self.file.skip_lines + 1
        if is_first and len(rejected) > _MOST_REJECTED_FIRST * (count + len(rejected)):
            self._refuse(positions[0], rejected[0])
        return Batch(arrays, count, lines, positions, block.fraction)

    def _refuse(self, row: RejectedRow, width: tuple[int, int, str]) -> None:
        raise UnreadableColumn(
            self.path,
            f"most rows are not divided into {counted(len(self.file.names), 'column')}; this one has {width[1]}",
            line=row.line,
            advice=self.width_advice,
        )


def parse_block(
    file: DelimitedFile, block: TextBlock, columns: Sequence[str], preferred: Preference = ANY_TYPE
) -> tuple[dict[str, pa.Array], list[tuple[int, int, str]], int]:
    """Arrow columns of a block, the rows of another width as (record number, width, text), and the number of rows."""
    import pyarrow as pa

    wanted = list(columns) or [file.names[0]]
    text, dictionary = pa.string(), pa.dictionary(pa.int32(), pa.string())
    types = {name: dictionary if name in preferred.encoded else text for name in wanted}
    integers = {name: pa.int64() for name in wanted if name in preferred.integers}
    rejected: list[tuple[int, int, str]] = []
    try:
        table = _parse(file, block, types | integers, rejected)
    except pa.ArrowInvalid as error:
        if integers:
            return parse_block(file, block, columns, preferred._replace(integers=frozenset()))
        raise DataFileError(file.path, f"the text cannot be divided ({error})", line=block.first_line) from None
    return {name: _one_array(table.column(name)) for name in columns}, rejected, table.num_rows


def _parse(
    file: DelimitedFile, block: TextBlock, types: dict[str, pa.DataType], rejected: list[tuple[int, int, str]]
) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    def note(row: csv.InvalidRow) -> str:
        rejected.append((row.number - 1, row.actual_columns, row.text))
        return "skip"

    data = block.data
    delimiter = file.dialect.single_delimiter
    if delimiter != file.dialect.delimiter:
        data = data.replace(file.dialect.delimiter.encode(), delimiter.encode())
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(
            column_names=list(file.names), use_threads=False, block_size=max(len(data) + 1, 16)
        ),
        parse_options=csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if file.dialect.quoting else False,
            escape_char="\\" if file.dialect.escape else False,
            newlines_in_values=block.quoted,
            invalid_row_handler=note,
        ),
        convert_options=csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=[],
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    import pyarrow as pa

    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _place(
    block: TextBlock, dialect: Dialect, count: int, rejected: list[tuple[int, int, str]]
) -> tuple[RowLines, list[RejectedRow]]:
    """The lines of the rows that were kept, and of those that were not."""
    total = count + len(rejected)
    every = RowLines(block.first_line, None if total == block.lines else record_lines(block, dialect))
    if not rejected:
        return every, []
    records = np.array([record for record, _, _ in rejected], dtype=np.int64)
    at = every.at(records)
    places = [
        RejectedRow(int(line), text.replace("\x1f", dialect.delimiter), f"{width} fields")
        for line, (_, width, text) in zip(at, rejected, strict=True)
    ]
    kept = np.ones(total, dtype=np.bool_)
    kept[records] = False
    return every.take(np.flatnonzero(kept)), places


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Column names made usable: empty ones are numbered, repeated ones get a number."""
    seen: dict[str, int] = {}
    out: list[str] = []
    for position, name in enumerate(names, start=1):
        chosen = name or f"column {position}"
        seen[chosen] = seen.get(chosen, 0) + 1
        out.append(chosen if seen[chosen] == 1 else f"{chosen} ({seen[chosen]})")
    return tuple(out)


def delimited_file(path: Path, layout: TextLayout, names: Sequence[str] | None = None) -> DelimitedFile:
    """The file of a sniffed layout; `names` replaces the header's.

    Raises
    ------
    HeaderOnly: there are no data rows.
    """
    if not layout.rows:
        raise HeaderOnly(path, "the file has column names and no rows", line=layout.header_line)
    width = len(layout.names) if layout.names is not None else _usual_width(layout.rows)
    given = names or layout.names or [f"column {position}" for position in range(1, width + 1)]
    return DelimitedFile(path, layout.dialect, layout.first_line - 1, unique_names(given), layout.decimal)


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    widths = [len(row) for row in rows]
    return max(set(widths), key=lambda width: (widths.count(width), width))


def open_delimited(path: Path, options: ReadOptions) -> Table:
    """Open a text table, sniffing what `options` leaves open.

    Raises
    ------
    EmptyFile, HeaderOnly, NotText, UnknownEncoding, UnclosedQuote.
    """
    layout = sniff_text(path, options)
    names = layout.names
    if names is not None and layout.rows and _usual_width(layout.rows) == len(names) + 1:
        names = ("", *names)
    table = DelimitedTable(delimited_file(path, layout, names), layout.words(), reader=READER.id)
    table.options = replace(table.options, header=layout.header_line is not None)
    return table


def sniff_delimited(path: Path, head: bytes) -> float:
    """Any text may be a table; a usual ending makes it likelier."""
    if not head or head[:4] in (b"PAR1", b"PK\x03\x04") or (b"\x00" in head and not _wide(head)):
        return 0.0
    return 0.5 if path.suffix.lower() in EXTENSIONS else 0.3


def _wide(head: bytes) -> bool:
    return (
        head[:2] in (b"\xff\xfe", b"\xfe\xff") or abs(head[0::2].count(0) - head[1::2].count(0)) > 0.3 * len(head) / 2
    )


READER = table_reader("csv", "delimited text", EXTENSIONS, sniff_delimited, open_delimited, is_delimited=True)
