"""Table: a file opened by a reader: its columns, its layout, a sample, and its rows in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import ReadingStopped, UnknownColumn
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.request import ReadOptions

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SAMPLE_ROWS = 2000


@dataclass(frozen=True)
class SourceColumn:
    """A column as the file declares it.

    declared: the type in the file's own words, or empty. role: what the layout itself says the column is for, or None;
    reason: why. separator: between the values of a cell, where the layout fixes it;
    empty where it says that a cell is one value.
    """

    name: str
    declared: str = ""
    role: Role | None = None
    reason: str = ""
    separator: str | None = None


class RejectedRow(NamedTuple):
    """A row that could not be divided into the file's columns. line: 1-based. text: the row. reason: why."""

    line: int
    text: str
    reason: str


class RowLines(NamedTuple):
    """The 1-based lines of a batch's rows: `first`, `first` + 1, ... or, where given, `numbers`: int64 (rows,)."""

    first: int
    numbers: npt.NDArray[np.int64] | None = None

    def at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The lines of rows (positions in the batch): int64 (len(rows),)."""
        return self.first + rows if self.numbers is None else self.numbers[rows]

    def take(self, rows: npt.NDArray[np.int64]) -> RowLines:
        """The lines of a batch in which only `rows` remain."""
        return RowLines(self.first, self.at(rows))


class Batch(NamedTuple):
    """Some rows of a table.

    columns: Arrow arrays of `rows` values each, by name: text (string or dictionary of string), lists of text, numbers
    or timestamps. lines: where the rows stand. rejected: rows between them that could not be divided. fraction: how
    much of the file has been read.
    """

    columns: dict[str, pa.Array]
    rows: int
    lines: RowLines
    rejected: Sequence[RejectedRow]
    fraction: float


class Preference(NamedTuple):
    """In which types columns of text are wanted; a batch may come as plain text all the same.

    encoded: as dictionaries of text. integers: as int64, where every value of a batch is a whole number.
    """

    encoded: frozenset[str] = frozenset()
    integers: frozenset[str] = frozenset()


ANY_TYPE = Preference()


class Table(ABC):
    """A file opened by a reader; reading it twice gives the same rows.

    Attributes
    ----------
    path: the file. columns: in file order. layout: encoding, delimiter and the like, in words. options: the reading
    options that were found, to read the file the same way again. kind: what the layout itself says the rows are, or
    None. reader_name: of the reader that opened it, for display. line_word: "line", or "row" for formats without lines.
    decimal: "." or ",".
    """

    path: Path
    columns: tuple[SourceColumn, ...]
    layout: Mapping[str, str]
    options: ReadOptions
    kind: FileKind | None = None
    reader_name: str = ""
    line_word: str = "line"
    decimal: str = "."
    warnings: tuple[str, ...] = ()

    @abstractmethod
    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
        """The rows, with `columns` only; in the types preferred, where the format can.

        Raises
        ------
        DataFileError: the file is damaged. ReadingStopped: the run was asked to stop.
        """

    @abstractmethod
    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """At most `rows` rows from the beginning, all columns."""

    @abstractmethod
    def count_rows(self) -> tuple[int, bool]:
        """How many rows there are, and whether that is exact or an estimate; cheap."""

    def column_names(self) -> list[str]:
        """The names in file order."""
        return [column.name for column in self.columns]

    def require(self, names: Sequence[str]) -> None:
        """Raise UnknownColumn for a name that the file does not have."""
        present = self.column_names()
        for name in names:
            if name not in present:
                raise UnknownColumn(
                    self.path, "there is no such column", column=name, advice=f"The columns are: {', '.join(present)}"
                )


@dataclass(frozen=True)
class TableReaderSpec(ReaderSpec):
    """A reader that gives its rows in batches; `read` follows from `open`.

    open: path and options to a Table. is_delimited: rows are lines with a delimiter, as in CSV.
    """

    open: Callable[[Path, ReadOptions], Table] = None  # type: ignore[assignment]
    is_delimited: bool = False


def table_reader(
    id: str,
    name: str,
    extensions: tuple[str, ...],
    sniff: Callable[[Path, bytes], float],
    open: Callable[[Path, ReadOptions], Table],
    is_delimited: bool = False,
) -> TableReaderSpec:
    """A reader specification whose `read` collects what `open` streams."""

    def read(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
        return collect(open(path, ReadOptions.parse(options)))

    return TableReaderSpec(id, name, extensions, sniff, read, open, is_delimited)


def collect(table: Table, run: RunContext | None = None) -> pd.DataFrame:
    """All rows of a table as one data frame, text columns as text."""
    import pandas as pd

    names = table.column_names()
    frames = [
        pd.DataFrame({name: batch.columns[name].to_pandas() for name in names})
        for batch in table.batches(names, run or RunContext())
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def check_stop(run: RunContext) -> None:
    """Raise ReadingStopped where the run was asked to stop."""
    if run.should_stop:
        raise ReadingStopped("The import was stopped. Nothing was kept.")
