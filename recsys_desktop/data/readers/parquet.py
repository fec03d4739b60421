"""Read Parquet files, a few row groups at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import DamagedFile, HeaderOnly
from recsys_desktop.data.readers.blocks import open_binary
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
    table_reader,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

MAGIC = b"PAR1"

_BATCH_ROWS = 1 << 19


class ParquetTable(Table):
    """A Parquet file; its columns keep the types that the file declares until they are used as ids or numbers."""

    line_word = "row"

    def __init__(self, path: Path) -> None:
        self.path = path
        file = _open(path)
        with file:
            self._rows = file.metadata.num_rows
            schema = file.schema_arrow
            groups = file.metadata.num_row_groups
        if self._rows == 0:
            raise HeaderOnly(path, "the file has columns and no rows")
        self.columns = tuple(SourceColumn(field.name, str(field.type)) for field in schema)
        self.options = ReadOptions(reader=READER.id)
        self.layout = {"format": READER.name, "row groups": str(groups)}

    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
        """As `Table.batches`."""
        self.require(columns)
        done = 0
        for arrays, rows in self._record_batches(columns, _BATCH_ROWS):
            check_stop(run)
            done += rows
            yield Batch(arrays, rows, RowLines(done - rows + 1), (), done / self._rows)

    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """As `Table.sample`."""
        arrays, count = next(self._record_batches(self.column_names(), min(rows, self._rows)))
        return Batch(arrays, count, RowLines(1), (), count / self._rows)

    def count_rows(self) -> tuple[int, bool]:
        """As `Table.count_rows`, exact: the file says it."""
        return self._rows, True

    def _record_batches(self, columns: Sequence[str], size: int) -> Iterator[tuple[dict[str, pa.Array], int]]:
        import pyarrow as pa

        with _open(self.path) as file:
            try:
                for batch in file.iter_batches(batch_size=size, columns=list(columns), use_threads=False):
                    yield {name: batch.column(name) for name in columns}, batch.num_rows
            except (OSError, pa.ArrowException) as error:
                raise DamagedFile(self.path, f"it is damaged ({error})", advice="Write or download it again") from None


def _open(path: Path) -> parquet.ParquetFile:
    import pyarrow as pa
    from pyarrow import parquet

    stream, _ = open_binary(path)
    with stream:
        stream.seek(0, 2)
        if stream.tell() >= len(MAGIC):
            stream.seek(-len(MAGIC), 2)
            if stream.read() != MAGIC:
                raise DamagedFile(path, "the Parquet file is cut short", advice="Write or download it again")
    try:
        return parquet.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DamagedFile(path, f"the Parquet file is damaged ({error})", advice="Write or download it again") from None


def sniff_parquet(path: Path, head: bytes) -> float:
    """Sure by its first four bytes."""
    return 1.0 if head.startswith(MAGIC) else 0.0


def open_parquet(path: Path, options: ReadOptions) -> Table:
    """Open a Parquet file.

    Raises
    ------
    DamagedFile: it is cut short or damaged. HeaderOnly: it has no rows.
    """
    return ParquetTable(path)


READER = table_reader("parquet", "Parquet", (".parquet", ".pq"), sniff_parquet, open_parquet)
