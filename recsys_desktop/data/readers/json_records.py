"""Read JSON lines, and JSON files that hold a list of objects; numbers keep the digits that they are written with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_desktop.api.run import RunContext
from recsys_desktop.data.errors import DamagedFile, HeaderOnly, UnknownFormat
from recsys_desktop.data.readers.blocks import Dialect, read_head, text_blocks
from recsys_desktop.data.readers.in_memory import ArrowTable
from recsys_desktop.data.readers.sniffing import sniff_encoding
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

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 1 << 22
_HEAD_BYTES = 1 << 16


class JsonLinesTable(Table):
    """One JSON object a line. Nested objects become columns "outer.inner"; lists become lists of text."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self._dialect = Dialect(encoding=encoding, quoting=False)
        self.options = ReadOptions(reader=LINES_READER.id, encoding=encoding)
        self.layout = {"format": LINES_READER.name, "encoding": encoding.upper()}
        records, _, _, _ = self._first_records(SAMPLE_ROWS)
        if not records:
            raise HeaderOnly(path, "the file holds no objects")
        names = dict.fromkeys(name for record in records for name in record)
        self.columns = tuple(SourceColumn(name, _json_type(records, name)) for name in names)

    def batches(self, columns: Sequence[str], run: RunContext, preferred: Preference = ANY_TYPE) -> Iterator[Batch]:
        """As `Table.batches`."""
        self.require(columns)
        check_stop(run)
        for block in text_blocks(self.path, self._dialect, block_bytes=_BLOCK_BYTES):
            records, lines, rejected = _parse_lines(block.data.decode("utf-8"), block.first_line)
            yield self._batch(records, lines, rejected, columns, block.fraction)
            check_stop(run)

    def sample(self, rows: int = SAMPLE_ROWS) -> Batch:
        """As `Table.sample`."""
        records, lines, rejected, fraction = self._first_records(rows)
        return self._batch(records, lines, rejected, self.column_names(), fraction)

    def count_rows(self) -> tuple[int, bool]:
        """As `Table.count_rows`: exact where one block holds the file."""
        for block in text_blocks(self.path, self._dialect, block_bytes=_BLOCK_BYTES):
            count = sum(1 for line in block.data.split(b"\n") if line.strip())
            exact = self.path.stat().st_size < _BLOCK_BYTES
            return (count, True) if exact else (round(count / max(block.fraction, 1e-9)), False)
        return 0, True

    def _first_records(self, wanted: int) -> tuple[list[dict[str, Any]], list[int], list[RejectedRow], float]:
        for block in text_blocks(self.path, self._dialect, block_bytes=_BLOCK_BYTES):
            records, lines, rejected = _parse_lines(block.data.decode("utf-8"), block.first_line, wanted)
            if not records:
                raise DamagedFile(
                    self.path,
                    "the first lines are not JSON objects",
                    line=rejected[0].line if rejected else block.first_line,
                )
            return records, lines, rejected, block.fraction
        return [], [], [], 1.0

    def _batch(
        self,
        records: list[dict[str, Any]],
        lines: list[int],
        rejected: list[RejectedRow],
        columns: Sequence[str],
        fraction: float,
    ) -> Batch:
        import numpy as np

        numbers = RowLines(lines[0] if lines else 1, np.array(lines, dtype=np.int64))
        return Batch({name: text_column(records, name) for name in columns}, len(records), numbers, rejected, fraction)


def _parse_lines(
    text: str, first_line: int, wanted: int | None = None
) -> tuple[list[dict[str, Any]], list[int], list[RejectedRow]]:
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    rejected: list[RejectedRow] = []
    for line, content in enumerate(text.split("\n"), start=first_line):
        if not content.strip():
            continue
        try:
            value = _decode(content)
        except ValueError as error:
            rejected.append(RejectedRow(line, content, f"not JSON: {error}"))
            continue
        if not isinstance(value, dict):
            rejected.append(RejectedRow(line, content, "not an object"))
            continue
        records.append(flattened(value))
        lines.append(line)
        if len(records) == wanted:
            break
    return records, lines, rejected


def _decode(text: str) -> Any:
    """JSON with numbers as the text they are written with, so that long ids keep their digits."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def flattened(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Objects inside an object as columns "outer.inner"."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def text_column(records: Sequence[Mapping[str, Any]], name: str) -> pa.Array:
    """One column of flattened records: text, or lists of text where some record has a list."""
    import pyarrow as pa

    values = [record.get(name) for record in records]
    if any(isinstance(value, list) for value in values):
        lists = [
            [_text(part) for part in value if part is not None]
            if isinstance(value, list)
            else ([] if value is None else [_text(value)])
            for value in values
        ]
        return pa.array(lists, pa.list_(pa.string()))
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json_type(records: Sequence[Mapping[str, Any]], name: str) -> str:
    return "list" if any(isinstance(record.get(name), list) for record in records) else ""


def open_json_lines(path: Path, options: ReadOptions) -> Table:
    """Open a file of one JSON object a line.

    Raises
    ------
    DamagedFile: the lines are not objects. HeaderOnly: there are none.
    """
    return JsonLinesTable(path, options.encoding or sniff_encoding(path, read_head(path, _HEAD_BYTES)))


def open_json(path: Path, options: ReadOptions) -> Table:
    """Open a JSON file: a list of objects, or an object in which exactly one value is such a list.

    Raises
    ------
    DamagedFile: it is not JSON; line and column say where. UnknownFormat: it holds something else.
    """
    import pyarrow as pa

    encoding = options.encoding or sniff_encoding(path, read_head(path, _HEAD_BYTES))
    text = b"".join(block.data for block in text_blocks(path, Dialect(encoding=encoding, quoting=False))).decode()
    try:
        content = _decode(text)
    except json.JSONDecodeError as error:
        raise DamagedFile(
            path, f"this is not valid JSON ({error.msg})", line=error.lineno, advice="Is the file complete?"
        ) from None
    records = _records(content)
    if records is None:
        raise UnknownFormat(path, "the JSON is not a list of objects", advice='Write it as [{"user": ...}, ...]')
    if not records:
        raise HeaderOnly(path, "the list is empty")
    flat = [flattened(record) for record in records]
    names = list(dict.fromkeys(name for record in flat for name in record))
    rows = pa.table({name: text_column(flat, name) for name in names})
    columns = [SourceColumn(name, _json_type(flat, name)) for name in names]
    layout = {"format": READER.name, "encoding": encoding.upper()}
    return ArrowTable(path, rows, columns, ReadOptions(reader=READER.id, encoding=encoding), layout)


def _records(content: Any) -> list[dict[str, Any]] | None:
    if isinstance(content, dict):
        lists = [value for value in content.values() if _is_records(value)]
        return lists[0] if len(lists) == 1 else None
    return content if _is_records(content) or content == [] else None


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def sniff_json(path: Path, head: bytes) -> float:
    """A list of objects, or one object over several lines."""
    text = _beginning(head)
    if text.startswith("["):
        return 0.95 if text[1:].lstrip().startswith(("{", "]")) or path.suffix.lower() == ".json" else 0.0
    if text.startswith("{"):
        return 0.0 if sniff_json_lines(path, head) else 0.9
    return 0.0


def sniff_json_lines(path: Path, head: bytes) -> float:
    """The first line alone is a JSON object."""
    text = _beginning(head)
    if not text.startswith("{"):
        return 0.0
    first, _, rest = text.partition("\n")
    try:
        record = json.loads(first)
    except ValueError:
        return 0.0
    alone = not rest.strip() and _records(record) is not None
    return 0.95 if isinstance(record, dict) and not alone else 0.0


def _beginning(head: bytes) -> str:
    return head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").lstrip()


READER = table_reader("json", "JSON", (".json",), sniff_json, open_json)
LINES_READER = table_reader(
    "json-lines", "JSON lines", (".jsonl", ".ndjson", ".json"), sniff_json_lines, open_json_lines
)
