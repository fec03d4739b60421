"""A Table whose rows are already in memory, for formats that cannot be read in pieces."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import HeaderOnly
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import SAMPLE_ROWS, Batch, RowLines, SourceColumn, Table, check_stop

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 18


class ArrowTable(Table):
    """Rows held as one Arrow table.

    first_line: 1-based line (or row) of the first row, the others follow.
    """

    def __init__(
        self,
        path: Path,
        rows: pa.Table,
        columns: Sequence[SourceColumn],
        options: ReadOptions,
        layout: dict[str, str],
        first_line: int = 1,
        line_word: str = "row",
        kind: FileKind | None = None,
    ) -> None:
        if rows.num_rows == 0:
            raise HeaderOnly(path, "the file holds no rows")
        self.path = path
        self.columns = tuple(columns)
        self.options = options
        self.layout = layout
        self.line_word = line_word
        self.kind = kind
        self._rows = rows
        self._first_line = first_line

    def batches(self, columns: Sequence[str], run: RunContext, encoded: Collection[str] = ()) -> Iterator[Batch]:
        """As `Table.batches`."""
        self.require(columns)
        for start in range(0, self._rows.num_rows, BATCH_ROWS):
            check_stop(run)
            yield self._slice(start, BATCH_ROWS, columns)

    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """As `Table.sample`."""
        return self._slice(0, rows, self.column_names())

    def count_rows(self) -> tuple[int, bool]:
        """As `Table.count_rows`, exact."""
        return self._rows.num_rows, True

    def _slice(self, start: int, length: int, columns: Sequence[str]) -> Batch:
        import pyarrow as pa

        part = self._rows.slice(start, length)
        arrays = {}
        for name in columns:
            column = part.column(name)
            arrays[name] = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
            if isinstance(arrays[name], pa.ChunkedArray):
                arrays[name] = pa.concat_arrays(arrays[name].chunks)
        fraction = (start + part.num_rows) / self._rows.num_rows
        return Batch(arrays, part.num_rows, RowLines(self._first_line + start), (), fraction)
