"""Read Excel workbooks (.xlsx), where the optional package openpyxl is installed."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.data.errors import DamagedFile, HeaderOnly, MissingExtra
from recsys_desktop.data.readers.delimited import unique_names
from recsys_desktop.data.readers.in_memory import ArrowTable
from recsys_desktop.data.readers.sniffing import looks_like_header
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import SourceColumn, Table, table_reader

_ZIP = b"PK\x03\x04"
_HEADER_LOOK = 100


def sniff_excel(path: Path, head: bytes) -> float:
    """A zip archive that names the parts of a workbook."""
    if not head.startswith(_ZIP):
        return 0.0
    if b"xl/" in head or (b"[Content_Types].xml" in head and path.suffix.lower() in READER.extensions):
        return 0.95
    return 0.0


def open_excel(path: Path, options: ReadOptions) -> Table:
    """Open one sheet of a workbook: the one that `options` names, or the first that holds rows.

    Raises
    ------
    MissingExtra: openpyxl is not installed. DamagedFile: the workbook cannot be read. HeaderOnly: no rows.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra(
            path,
            "reading Excel workbooks needs the package openpyxl",
            advice='Install it with: pip install "recsys-desktop[excel]", or save the sheet as CSV',
        ) from None
    try:
        with closing(openpyxl.load_workbook(path, read_only=True, data_only=True)) as workbook:
            sheet, rows = _sheet(path, workbook, options)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError) as error:
        raise DamagedFile(path, f"the workbook cannot be read ({error})", advice="Save it again") from error
    return _table(path, sheet, rows, options)


def _sheet(path: Path, workbook: Any, options: ReadOptions) -> tuple[str, list[tuple[int, list[str]]]]:
    if options.sheet is not None and options.sheet not in workbook.sheetnames:
        raise InvalidParameter("sheet", f"'{options.sheet}' is not among {', '.join(workbook.sheetnames)}")
    for name in [options.sheet] if options.sheet is not None else workbook.sheetnames:
        sheet = workbook[name]
        if not hasattr(sheet, "iter_rows"):
            continue
        cells = ([_text(value) for value in row] for row in sheet.iter_rows(values_only=True))
        rows = [(number, row) for number, row in enumerate(cells, start=1) if any(row)]
        if rows:
            return name, rows
    raise HeaderOnly(path, "no sheet of the workbook holds rows")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _table(path: Path, sheet: str, rows: list[tuple[int, list[str]]], options: ReadOptions) -> Table:
    import pyarrow as pa

    width = max(len(row) for _, row in rows)
    cells = [tuple(row + [""] * (width - len(row))) for _, row in rows]
    has_header = options.header if options.header is not None else looks_like_header(cells[:_HEADER_LOOK])
    names = unique_names(
        [cell.strip() for cell in cells[0]] if has_header else [f"column {place}" for place in range(1, width + 1)]
    )
    data = cells[1:] if has_header else cells
    numbers = [number for number, _ in rows][1 if has_header else 0 :]
    table = pa.table({name: pa.array([row[place] for row in data], pa.string()) for place, name in enumerate(names)})
    layout = {
        "format": READER.name,
        "sheet": sheet,
        "header": f"row {rows[0][0]}" if has_header else "none",
    }
    return ArrowTable(
        path,
        table,
        [SourceColumn(name) for name in names],
        ReadOptions(reader=READER.id, sheet=sheet, header=has_header),
        layout,
        lines=numbers,
    )


READER = table_reader("excel", "Excel workbook", (".xlsx", ".xlsm"), sniff_excel, open_excel)
