"""Divide a text file into blocks of whole records, in UTF-8, and say on which line each record begins."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.data.errors import DamagedFile, FileMissing, UnclosedQuote, UnknownEncoding

BLOCK_BYTES = 1 << 23
LONGEST_RECORD_BYTES = 1 << 26

_NEWLINE = 10
_QUOTE = 34
_BACKSLASH = 92


class TextBlock(NamedTuple):
    """Whole records. data: UTF-8, lines end in a line feed. first_line: 1-based line of its first byte.

    lines: how many lines it has. quoted: whether line breaks inside quotes are possible. fraction: how much of the file
    lies before its end.
    """

    data: bytes
    first_line: int
    lines: int
    quoted: bool
    fraction: float


@dataclass(frozen=True)
class Dialect:
    """How records and fields are marked.

    encoding: a Python codec. delimiter: one or more characters. quoting: fields may be in double quotes; escape: a
    backslash before a quote makes it literal. encoding_given: the person chose the encoding, so it is never changed.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    quoting: bool = True
    escape: bool = False
    encoding_given: bool = False

    @property
    def single_delimiter(self) -> str:
        """The delimiter as the parser sees it: longer ones become the unit separator."""
        return self.delimiter if len(self.delimiter) == 1 and ord(self.delimiter) < 128 else "\x1f"


def open_binary(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """The file's bytes (unpacked where the name ends in .gz) and the raw file, whose position tells how far it is read.

    Raises
    ------
    FileMissing: the file is not there or cannot be opened.
    """
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise FileMissing(path, "there is no such file") from None
    except OSError as error:
        raise FileMissing(path, f"it cannot be opened ({error.strerror or error})") from None
    if path.suffix.lower() == ".gz":
        return gzip.GzipFile(fileobj=raw), raw  # type: ignore[return-value]
    return raw, raw


def read_head(path: Path, size: int) -> bytes:
    """The first `size` bytes, unpacked where the name ends in .gz."""
    stream, raw = open_binary(path)
    with raw:
        try:
            return stream.read(size)
        except (EOFError, gzip.BadGzipFile) as error:
            raise DamagedFile(path, f"it is not a whole gzip file ({error})") from None


def text_blocks(
    path: Path, dialect: Dialect, skip_lines: int = 0, block_bytes: int = BLOCK_BYTES
) -> Iterator[TextBlock]:
    """The records after the first `skip_lines` lines, in blocks of about `block_bytes`.

    Raises
    ------
    UnknownEncoding: the text does not decode. UnclosedQuote: a quoted field never ends. DamagedFile: a broken .gz.
    """
    size = max(path.stat().st_size, 1)
    line = 1
    pending = b""
    for chunk, fraction in _utf8_chunks(path, dialect, size, block_bytes):
        last = chunk is None
        data = pending if chunk is None else pending + chunk
        while skip_lines and (end := data.find(b"\n")) >= 0:
            data, line, skip_lines = data[end + 1 :], line + 1, skip_lines - 1
        if skip_lines and not last:
            pending = data
            continue
        toggles = quote_toggles(data, dialect) if dialect.quoting and b'"' in data else None
        if last:
            _check_closed(path, data, toggles, line)
            cut = len(data)
        else:
            cut = _last_record_end(data, toggles)
            if cut == 0 and len(data) > LONGEST_RECORD_BYTES:
                _check_closed(path, data, toggles, line)
                raise DamagedFile(path, "a line is longer than 64 MiB", line=line, advice="Is this a text table?")
        block, pending = data[:cut], data[cut:]
        if block:
            breaks = block.count(b"\n")
            yield TextBlock(block, line, breaks + (not block.endswith(b"\n")), toggles is not None, fraction)
            line += breaks


def _utf8_chunks(path: Path, dialect: Dialect, size: int, block_bytes: int) -> Iterator[tuple[bytes | None, float]]:
    """Chunks of the file in UTF-8 with line feeds only, then None."""
    stream, raw = open_binary(path)
    decoder = _Decoder(path, dialect)
    carried = b""
    with raw:
        while True:
            try:
                chunk = stream.read(block_bytes)
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                raise DamagedFile(path, f"it cannot be read to its end ({error})") from None
            text = carried + decoder.decode(chunk, final=not chunk)
            carried = b""
            if b"\r" in text:
                if chunk and text.endswith(b"\r"):
                    text, carried = text[:-1], b"\r"
                text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if text:
                yield text, min(raw.tell() / size, 1.0)
            if not chunk:
                yield None, 1.0
                return


class _Decoder:
    """Bytes in the file's encoding to UTF-8.

    A guessed UTF-8 that turns out wrong after nothing but ASCII is changed to cp1252: the guess was made from a part.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self._path = path
        self._encoding = codecs.lookup(dialect.encoding).name
        self._extends_ascii = self._encoding in ("utf-8", "ascii")
        self._may_change = not dialect.encoding_given and self._extends_ascii
        self._incremental = codecs.getincrementaldecoder(dialect.encoding)()
        self._read = 0
        self._ascii = True
        self._first = True

    def decode(self, chunk: bytes, final: bool) -> bytes:
        if self._extends_ascii and self._ascii and chunk.isascii():
            text = chunk
        else:
            text = self._decode(chunk, final)
        self._read += len(chunk)
        if self._first and text:
            self._first = False
            text = text.removeprefix(codecs.BOM_UTF8)
        return text

    def _decode(self, chunk: bytes, final: bool) -> bytes:
        try:
            decoded = self._incremental.decode(chunk, final).encode("utf-8")
        except UnicodeError as error:
            if self._may_change and self._ascii:
                self._may_change = False
                self._encoding = "cp1252" if not _UNDEFINED_IN_CP1252.intersection(chunk) else "latin-1"
                self._incremental = codecs.getincrementaldecoder(self._encoding)()
                return self._incremental.decode(chunk, final).encode("utf-8")
            position = error.start if isinstance(error, UnicodeDecodeError) else 0
            raise UnknownEncoding(
                self._path,
                f"a character is not valid {self._encoding}",
                line=_line_at(self._path, self._read + position),
                advice="Give the encoding, for example cp1252 or latin-1",
            ) from None
        self._ascii = self._ascii and chunk.isascii()
        return decoded


def _line_at(path: Path, position: int) -> int:
    """The 1-based line of a byte of a file."""
    stream, raw = open_binary(path)
    line = 1
    with raw:
        while position > 0 and (chunk := stream.read(min(position, BLOCK_BYTES))):
            line += chunk.count(b"\n")
            position -= len(chunk)
    return line


_UNDEFINED_IN_CP1252 = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))


def quote_toggles(data: bytes, dialect: Dialect) -> npt.NDArray[np.int64]:
    """Positions of the quotes that open or close a quoted field, in turn: int64 (n,).

    A quote opens only where a field begins; elsewhere in an unquoted field it is an ordinary character. Two quotes
    inside a quoted field stand for one, and here close and open it again.
    """
    values = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(values == _QUOTE)
    if dialect.escape and len(quotes):
        quotes = quotes[~_escaped(values, quotes)]
    delimiter = ord(dialect.single_delimiter)
    opening = quotes[::2]
    before = values[np.maximum(opening - 1, 0)]
    at_start = (opening == 0) | (before == delimiter) | (before == _NEWLINE)
    at_start[1:] |= opening[1:] == quotes[1::2][: len(opening) - 1] + 1
    return quotes if at_start.all() else _toggles_one_by_one(values, quotes, delimiter)


def _escaped(values: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    escaped = (quotes > 0) & (values[np.maximum(quotes - 1, 0)] == _BACKSLASH)
    for index in np.flatnonzero(escaped):
        position = int(quotes[index]) - 1
        length = 0
        while position >= 0 and values[position] == _BACKSLASH:
            position, length = position - 1, length + 1
        escaped[index] = length % 2 == 1
    return np.asarray(escaped)


def _toggles_one_by_one(
    values: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64], delimiter: int
) -> npt.NDArray[np.int64]:
    """The same where quotes stand in the middle of fields, so that counting them does not do."""
    positions = quotes.tolist()
    before = values[np.maximum(quotes - 1, 0)].tolist()
    toggles: list[int] = []
    inside = False
    index = 0
    while index < len(positions):
        position = positions[index]
        if inside:
            if index + 1 < len(positions) and positions[index + 1] == position + 1:
                index += 2
                continue
            toggles.append(position)
            inside = False
        elif position == 0 or before[index] in (delimiter, _NEWLINE):
            toggles.append(position)
            inside = True
        index += 1
    return np.array(toggles, dtype=np.int64)


def _last_record_end(data: bytes, toggles: npt.NDArray[np.int64] | None) -> int:
    """Where the last whole record ends: the position after a line feed outside quotes, or 0."""
    if toggles is None:
        return data.rfind(b"\n") + 1
    end = len(data)
    while (position := data.rfind(b"\n", 0, end)) >= 0:
        before = int(np.searchsorted(toggles, position))
        if before % 2 == 0:
            return position + 1
        end = int(toggles[before - 1])
    return 0


def _check_closed(path: Path, data: bytes, toggles: npt.NDArray[np.int64] | None, line: int) -> None:
    if toggles is not None and len(toggles) % 2:
        opened = line + data[: int(toggles[-1])].count(b"\n")
        raise UnclosedQuote(
            path,
            "a quote opens here and never closes",
            line=opened,
            advice="Close it, or switch quoting off if quotes are ordinary characters in this file",
        )


def record_lines(block: TextBlock, dialect: Dialect) -> npt.NDArray[np.int64]:
    """On which line each record of a block begins; empty lines are no records: int64 (records,)."""
    data = block.data
    values = np.frombuffer(data, dtype=np.uint8)
    breaks = np.flatnonzero(values == _NEWLINE)
    if not data.endswith(b"\n"):
        breaks = np.append(breaks, len(data))
    numbers = np.arange(len(breaks), dtype=np.int64)
    if block.quoted:
        outside = np.searchsorted(quote_toggles(data, dialect), breaks) % 2 == 0
        breaks, numbers = breaks[outside], numbers[outside]
    starts = np.concatenate(([0], breaks[:-1] + 1))
    lines = block.first_line + np.concatenate(([0], numbers[:-1] + 1))
    return np.asarray(lines[breaks > starts], dtype=np.int64)
