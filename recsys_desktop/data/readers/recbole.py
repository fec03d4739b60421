"""Read RecBole atomic files: tab-separated, the header says `name:type`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import UnknownFormat
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.names import role_of_name
from recsys_desktop.data.readers.delimited import DelimitedFile, DelimitedTable, delimited_file
from recsys_desktop.data.readers.sniffing import sniff_text
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import ANY_TYPE, SAMPLE_ROWS, Batch, Preference, SourceColumn, Table, table_reader

if TYPE_CHECKING:
    import pyarrow as pa

TYPES = ("token", "float", "token_seq", "float_seq")

_KINDS = {".inter": FileKind.INTERACTIONS, ".item": FileKind.ITEMS, ".user": FileKind.USERS}


class RecBoleTable(DelimitedTable):
    """A RecBole file; sequences of tokens or numbers become lists."""

    width_advice = "A RecBole row has a field for every name of the header, divided by tabs: repair these rows"

    def __init__(self, file: DelimitedFile, layout: dict[str, str], columns: Sequence[SourceColumn]) -> None:
        super().__init__(file, layout, columns, _KINDS.get(file.path.suffix.lower()), READER.id)
        self._lists = {column.name for column in columns if column.declared.endswith("_seq")}

    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
        """As `Table.batches`."""
        plain = preferred._replace(encoded=preferred.encoded - self._lists)
        for batch in super().batches(columns, run, plain):
            yield self._divided(batch)

    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """As `Table.sample`."""
        return self._divided(super().sample(rows))

    def _divided(self, batch: Batch) -> Batch:
        return batch._replace(columns={name: self._cells(name, array) for name, array in batch.columns.items()})

    def _cells(self, name: str, array: pa.Array) -> pa.Array:
        if name not in self._lists:
            return array
        import pyarrow.compute as pc

        return pc.split_pattern(pc.utf8_trim_whitespace(array), " ")


def declared_columns(header: Sequence[str]) -> tuple[SourceColumn, ...] | None:
    """The columns of a header in which every field is `name:type`, or None."""
    found: list[SourceColumn] = []
    for field in header:
        name, colon, kind = field.strip().rpartition(":")
        if not colon or not name or kind not in TYPES:
            return None
        found.append(SourceColumn(name, kind, *_role(name, kind), " " if kind.endswith("_seq") else None))
    return tuple(found) or None


def _role(name: str, kind: str) -> tuple[Role | None, str]:
    if kind == "token_seq":
        text = role_of_name(name) in (Role.TITLE, Role.TEXT)
        return (role_of_name(name), "the file declares words") if text else (Role.TAGS, "the file declares tokens")
    if kind == "float_seq":
        return Role.NUMERIC, "the file declares a list of numbers"
    if kind == "float" and role_of_name(name) not in (Role.RATING, Role.TIMESTAMP, Role.WEIGHT):
        return Role.NUMERIC, "the file declares a number"
    return None, ""


def sniff_recbole(path: Path, head: bytes) -> float:
    """Sure where the first line is `name:type` throughout."""
    first = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    return 0.97 if declared_columns(first.rstrip("\r").split("\t")) else 0.0


def open_recbole(path: Path, options: ReadOptions) -> Table:
    """Open a RecBole atomic file.

    Raises
    ------
    UnknownFormat: the header is not `name:type`. What `open_delimited` raises.
    """
    given = replace(options, delimiter=options.delimiter or "\t", quoting=False, header=True)
    layout = sniff_text(path, given)
    columns = declared_columns(layout.names or ())
    if columns is None:
        raise UnknownFormat(path, "the first line is not a RecBole header such as user_id:token", line=1)
    file = delimited_file(path, layout, [column.name for column in columns])
    columns = tuple(replace(column, name=name) for column, name in zip(columns, file.names, strict=True))
    return RecBoleTable(file, {"format": READER.name, **layout.words()}, _with_interaction_roles(path, columns))


def _with_interaction_roles(path: Path, columns: Sequence[SourceColumn]) -> Sequence[SourceColumn]:
    """In a file of interactions, numbers beside the rating are not attributes of items."""
    if _KINDS.get(path.suffix.lower()) is not FileKind.INTERACTIONS:
        return columns
    attributes: Mapping[Role | None, str] = {Role.NUMERIC: "", Role.TAGS: "", Role.TITLE: "", Role.TEXT: ""}
    return [
        replace(column, role=Role.IGNORE, reason="it says nothing about the user or the item alone")
        if column.role in attributes
        else column
        for column in columns
    ]


READER = table_reader(
    "recbole", "RecBole atomic file", (".inter", ".item", ".user"), sniff_recbole, open_recbole, is_delimited=True
)
