"""A Table whose rows are already in memory, for formats that cannot be read in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import HeaderOnly
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import (
    ANY_TYPE,
    SAMPLE_ROWS,
    Batch,
    Preference,
    RowLines,
    SourceColumn,
    Table,
    check_stop,
)

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 18


class ArrowTable(Table):
    """Rows held as one Arrow table.

    lines: 1-based line (or row) of each row; 1, 2, ... where None.
    """

    def __init__(
        self,
        path: Path,
        rows: pa.Table,
        columns: Sequence[SourceColumn],
        options: ReadOptions,
        layout: dict[str, str],
        lines: Sequence[int] | None = None,
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
        self._lines = np.arange(1, rows.num_rows + 1) if lines is None else np.array(lines, dtype=np.int64)

    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
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
        part = self._rows.slice(start, length)
        arrays = {}
        for name in columns:
            column = part.column(name)
            arrays[name] = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        fraction = (start + part.num_rows) / self._rows.num_rows
        lines = self._lines[start : start + part.num_rows]
        return Batch(arrays, part.num_rows, RowLines(int(lines[0]), lines), (), fraction)
