"""Look at a file without importing it: layout, columns, guessed roles, first rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.opening import OpenedFile, open_file, text_cells
from recsys_desktop.data.request import BuildRequest, CleaningOptions, FileSource, ReadOptions
from recsys_desktop.data.table import check_stop
from recsys_desktop.data.texts import counted

PREVIEW_ROWS = 200
EXAMPLES = 5


@dataclass(frozen=True)
class ColumnGuess:
    """One column: its name, the guessed role with the reason in words, and a few of its values.

    declared: the type that the file itself declares (RecBole, Orange, Parquet), or empty. detail: more about the role
    ("Unix seconds", "separated by |"), or empty.
    """

    name: str
    role: Role
    reason: str
    examples: tuple[str, ...] = ()
    declared: str = ""
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "role": self.role.value,
            "reason": self.reason,
            "examples": list(self.examples),
            "declared": self.declared,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class FileInspection:
    """One file as it would be imported.

    kind: what its rows are. options: the reading options that were sniffed or given (pass them back to fix them).
    layout: the same in words, for display. preview: the first rows as text, parallel to `columns`. rows: exact row
    count where the sample is the whole file, else an estimate (`rows_exact` tells). warnings: one sentence each.
    """

    path: Path
    size_bytes: int
    reader: str
    reader_name: str
    kind: FileKind
    options: ReadOptions
    layout: dict[str, str]
    columns: tuple[ColumnGuess, ...]
    preview: tuple[tuple[str, ...], ...]
    rows: int
    rows_exact: bool
    warnings: tuple[str, ...] = ()

    @property
    def roles(self) -> dict[str, Role]:
        """The role of each column, ready for correction and for `FileSource.roles`."""
        return {column.name: column.role for column in self.columns}

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "reader": self.reader,
            "reader_name": self.reader_name,
            "kind": self.kind.value,
            "options": self.options.to_dict(),
            "layout": dict(self.layout),
            "columns": [column.to_dict() for column in self.columns],
            "preview": [list(row) for row in self.preview],
            "rows": self.rows,
            "rows_exact": self.rows_exact,
            "warnings": list(self.warnings),
        }


def inspect_files(
    files: Iterable[Path | str | FileSource],
    options: ReadOptions | None = None,
    run: RunContext | None = None,
    readers: Sequence[ReaderSpec] | None = None,
    preview_rows: int = PREVIEW_ROWS,
) -> tuple[FileInspection, ...]:
    """Look at each file: layout, columns, guessed roles, first rows. Only a sample of a text file is read.

    files: paths, or sources with corrections. options: for the paths.

    Raises
    ------
    DataFileError: a file cannot be read; its class and message say which and why. ReadingStopped.
    """
    run = run or RunContext()
    sources = [
        file if isinstance(file, FileSource) else FileSource(Path(file), {}, options or ReadOptions()) for file in files
    ]
    opened: list[OpenedFile] = []
    for position, source in enumerate(sources):
        check_stop(run)
        run.progress(position / max(len(sources), 1), f"Looking at {source.path.name}")
        opened.append(open_file(source, readers))
    opened = [_in_company(file, opened, readers) for file in opened]
    run.progress(1.0, "")
    return tuple(_inspection(file, preview_rows) for file in opened)


def _in_company(file: OpenedFile, others: Sequence[OpenedFile], readers: Sequence[ReaderSpec] | None) -> OpenedFile:
    """A side file again, now that the names of the ids in the interactions are known."""
    if file.kind is FileKind.INTERACTIONS:
        return file
    interactions = [other for other in others if other.kind is FileKind.INTERACTIONS]
    if not interactions:
        return file
    item_name, user_name = interactions[0].column(Role.ITEM), interactions[0].column(Role.USER)
    return open_file(file.source, readers, file.kind, item_name, user_name)


def _inspection(file: OpenedFile, preview_rows: int) -> FileInspection:
    table = file.table
    shown = {name: text_cells(array.slice(0, preview_rows))[0] for name, array in file.sample.columns.items()}
    columns = tuple(
        ColumnGuess(
            column.name,
            file.guesses[column.name].role,
            file.guesses[column.name].reason,
            tuple(dict.fromkeys(value for value in shown[column.name] if value))[:EXAMPLES],
            column.declared,
            file.guesses[column.name].detail,
        )
        for column in table.columns
    )
    rows, exact = table.count_rows()
    warnings = list(table.warnings)
    if file.sample.rejected:
        first = file.sample.rejected[0]
        warnings.append(
            f"{len(file.sample.rejected)} of the first rows {'does' if len(file.sample.rejected) == 1 else 'do'} not "
            f"have {counted(len(table.columns), 'column')}, "
            f"first in {table.line_word} {first.line}."
        )
    return FileInspection(
        table.path,
        table.path.stat().st_size,
        table.options.reader or "",
        table.reader_name,
        file.kind,
        table.options,
        dict(table.layout),
        columns,
        tuple(zip(*(shown[column.name] for column in table.columns), strict=True)),
        rows,
        exact,
        tuple(warnings),
    )


def assign_files(
    inspections: Sequence[FileInspection], cleaning: CleaningOptions | None = None, name: str = ""
) -> BuildRequest:
    """A request in which each inspected file has the place that its kind gives it, with the roles and options found."""

    def of_kind(kind: FileKind) -> tuple[FileSource, ...]:
        return tuple(
            FileSource(inspection.path, inspection.roles, inspection.options)
            for inspection in inspections
            if inspection.kind is kind
        )

    return BuildRequest(
        of_kind(FileKind.INTERACTIONS),
        of_kind(FileKind.ITEMS),
        of_kind(FileKind.USERS),
        cleaning or CleaningOptions(),
        name,
    )
