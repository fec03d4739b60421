"""Read Orange tables (.tab): three header rows with names, types and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recsys_desktop.api.roles import Role
from recsys_desktop.data.errors import HeaderOnly, UnknownFormat
from recsys_desktop.data.readers.delimited import DelimitedFile, DelimitedTable, unique_names
from recsys_desktop.data.readers.sniffing import sniff_decimal, sniff_text
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import SourceColumn, Table, table_reader

_TYPES = {
    "c": "continuous",
    "continuous": "continuous",
    "n": "continuous",
    "numeric": "continuous",
    "d": "discrete",
    "discrete": "discrete",
    "categorical": "discrete",
    "s": "string",
    "string": "string",
    "text": "string",
    "t": "time",
    "time": "time",
    "b": "basket",
    "basket": "basket",
}


def header_types(row: Sequence[str]) -> list[str] | None:
    """Orange's types of the columns, or None where the row holds others; a discrete one may list its values."""
    types = []
    for cell in row:
        text = cell.strip()
        if text.casefold() in _TYPES:
            types.append(_TYPES[text.casefold()])
        elif text and " " in text:
            types.append("discrete")
        else:
            return None
    return types or None


def _role(flags: str, kind: str) -> tuple[Role | None, str]:
    words = flags.casefold().split()
    if "row=1" in words or "row" in words:
        return Role.USER, "the file marks it as the row"
    if "col=1" in words or "col" in words:
        return Role.ITEM, "the file marks it as the column"
    if "class" in words or "c" in words:
        return (Role.RATING, "the file marks it as the class") if kind == "continuous" else (None, "")
    if "ignore" in words or "i" in words or "skip" in words:
        return Role.IGNORE, "the file says to ignore it"
    return None, ""


def sniff_orange(path: Path, head: bytes) -> float:
    """Sure where the second line is a row of types and the third a row of flags."""
    lines = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n").split("\n")[:3]
    if len(lines) < 3 or "\t" not in lines[0] + lines[1]:
        return 0.0
    names, types, flags = (line.split("\t") for line in lines)
    if header_types(types) is None or len(types) != len(names) or len(flags) > len(names):
        return 0.0
    return 0.97 if all(_is_flag(cell) for cell in flags) else 0.0


def _is_flag(cell: str) -> bool:
    known = ("class", "meta", "ignore", "skip", "weight", "c", "m", "i", "w", "row", "col")
    return all(word.casefold() in known or "=" in word for word in cell.split())


def open_orange(path: Path, options: ReadOptions) -> Table:
    """Open an Orange table with its three header rows.

    Raises
    ------
    UnknownFormat: the header rows are not Orange's. HeaderOnly: there are no rows below them.
    """
    layout = sniff_text(path, replace(options, delimiter="\t", header=True))
    if len(layout.rows) < 2 or layout.names is None:
        raise UnknownFormat(path, "an Orange table begins with three header rows: names, types and flags")
    types = header_types(layout.rows[0])
    if types is None:
        raise UnknownFormat(path, "the second row does not hold Orange's types", line=2)
    names = unique_names(layout.names)
    flags = [*layout.rows[1], *[""] * len(names)]
    if not layout.rows[2:]:
        raise HeaderOnly(path, "the file has three header rows and no others", line=3)
    columns = [
        SourceColumn(name, kind, *_role(flag, kind)) for name, kind, flag in zip(names, types, flags, strict=False)
    ]
    decimal = options.decimal or sniff_decimal(layout.rows[2:])
    file = DelimitedFile(path, layout.dialect, layout.first_line + 1, names, decimal)
    words = {"format": READER.name, **layout.words(), "header": "lines 1 to 3"}
    return DelimitedTable(file, words, columns, reader=READER.id)


READER = table_reader("orange", "Orange table", (".tab",), sniff_orange, open_orange, is_delimited=True)
