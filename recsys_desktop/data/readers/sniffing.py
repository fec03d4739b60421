"""Find out how a text table is written: encoding, delimiter, quoting, header, decimal comma."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from recsys_desktop.data.errors import EmptyFile, NotText, UnclosedQuote, UnknownEncoding
from recsys_desktop.data.names import is_known_name
from recsys_desktop.data.readers.blocks import Dialect, open_binary, read_head
from recsys_desktop.data.request import DELIMITER_NAMES, ReadOptions

SAMPLE_BYTES = 1 << 18
MOST_LINES = 400
DELIMITERS = ("::", "\t", ";", ",", "|", " ")

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+$")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+$")
_DATE_LIKE = re.compile(r"\d{1,4}[-/.]\w{1,3}[-/.]\d{1,4}")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class TextLayout:
    """How a text table is written.

    header_line: 1-based line of the column names, or None. first_line: 1-based line of the first data row's line.
    names: column names as written, or None where there is no header. rows: the sample's data rows, as text.
    """

    dialect: Dialect
    header_line: int | None
    first_line: int
    names: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]
    decimal: str

    def words(self) -> dict[str, str]:
        """The layout for display."""
        delimiter = self.dialect.delimiter
        return {
            "encoding": self.dialect.encoding.upper(),
            "delimiter": DELIMITER_NAMES.get(delimiter, delimiter),
            "decimal": "comma" if self.decimal == "," else "point",
            "header": "none" if self.header_line is None else f"line {self.header_line}",
        }


def sniff_text(path: Path, options: ReadOptions) -> TextLayout:
    """Read a sample and decide how the file is written; what `options` gives is taken as given.

    Raises
    ------
    EmptyFile, NotText, UnknownEncoding, UnclosedQuote.
    """
    head = read_head(path, SAMPLE_BYTES)
    if not head:
        raise EmptyFile(path, "the file is empty")
    encoding = options.encoding or sniff_encoding(path, head)
    text, complete = _decoded_sample(path, head, encoding)
    lines, first = _sample_lines(text, complete)
    if not any(line.strip() for line in lines):
        raise EmptyFile(path, "the file holds only white space")
    hinted = _delimiter_hint(lines[first])
    if hinted is not None:
        first += 1
    sample = "\n".join(lines[first:])
    delimiter = options.delimiter or hinted or sniff_delimiter(sample, options.quoting)
    quoting = options.quoting if options.quoting is not None else _uses_quotes(sample, delimiter)
    escape = quoting and _escapes_quotes(sample, delimiter)
    dialect = Dialect(encoding, delimiter, quoting, escape, encoding_given=options.encoding is not None)
    rows = split_rows(sample, dialect, cut=not complete)
    if not rows:
        raise UnclosedQuote(path, "a quote opens here and never closes", line=first + 1, advice="Switch quoting off")
    has_header = options.header if options.header is not None else looks_like_header(rows)
    header_line = first + 1 if has_header else None
    if has_header:
        first += _lines_of_first_record(sample, dialect)
    data = rows[1:] if has_header else rows
    return TextLayout(
        dialect,
        header_line,
        first + 1,
        tuple(cell.strip() for cell in rows[0]) if has_header else None,
        tuple(data),
        options.decimal or sniff_decimal(data),
    )


def sniff_encoding(path: Path, head: bytes) -> str:
    """The encoding, from a byte order mark, from validity as UTF-8 (begin, middle and end), or by likelihood.

    Raises
    ------
    NotText: the content is binary.
    """
    for mark, name in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name
    if b"\x00" in head:
        return _wide_encoding(path, head)
    if _control_share(head) > 0.05:
        raise NotText(path, "the content is not text", advice="Is it really a table of text?")
    samples = [head, *_more_samples(path)]
    if all(_is_utf8(sample) for sample in samples):
        return "utf-8"
    return _single_byte_encoding(b"".join(samples))


def _wide_encoding(path: Path, head: bytes) -> str:
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd > 0.3 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.05 * half:
        return "utf-16-be"
    raise NotText(path, "the content is binary, not text", advice="Is it really a table of text?")


def _control_share(head: bytes) -> float:
    controls = sum(head.count(bytes((code,))) for code in range(32) if code not in (9, 10, 11, 12, 13, 28, 29, 30, 31))
    return controls / len(head)


def _more_samples(path: Path) -> list[bytes]:
    """A piece from the middle and one from the end of a large plain file, each from a line's beginning."""
    size = path.stat().st_size
    if size <= 2 * SAMPLE_BYTES or path.suffix.lower() == ".gz":
        return []
    stream, _ = open_binary(path)
    pieces = []
    with stream:
        for position in (size // 2, size - SAMPLE_BYTES):
            stream.seek(position)
            pieces.append(stream.read(SAMPLE_BYTES).partition(b"\n")[2])
    return pieces


def _is_utf8(sample: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _single_byte_encoding(sample: bytes) -> str:
    """Western text has few accents among ASCII letters; anything denser is left to charset-normalizer."""
    high = sum(sample.count(bytes((code,))) for code in range(128, 256))
    letters = sum(sample.count(bytes((code,))) for code in (*range(65, 91), *range(97, 123)))
    if high > 0.3 * max(letters, 1):
        from charset_normalizer import from_bytes

        best = from_bytes(sample[:SAMPLE_BYTES]).best()
        if best is not None:
            return best.encoding
    if any(bytes((code,)) in sample for code in (0x81, 0x8D, 0x8F, 0x90, 0x9D)):
        return "latin-1"
    return "cp1252" if any(bytes((code,)) in sample for code in range(0x80, 0xA0)) else "latin-1"


def _decoded_sample(path: Path, head: bytes, encoding: str) -> tuple[str, bool]:
    complete = len(head) < SAMPLE_BYTES
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head, final=complete)
    except UnicodeError as error:
        position = error.start if isinstance(error, UnicodeDecodeError) else 0
        raise UnknownEncoding(
            path,
            f"a character is not valid {encoding}",
            line=head[:position].count(b"\n") + 1,
            advice="Choose another encoding, for example cp1252 or latin-1",
        ) from None
    return text.removeprefix("\ufeff"), complete


def _sample_lines(text: str, complete: bool) -> tuple[list[str], int]:
    """Lines of the sample (the cut last one left out) and the position of the first that is neither empty nor `%`."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not complete and len(lines) > 1:
        lines.pop()
    first = 0
    while first < len(lines) - 1 and (not lines[first].strip() or lines[first].startswith("%")):
        first += 1
    return lines, first


def _delimiter_hint(line: str) -> str | None:
    """The delimiter that a spreadsheet wrote into the first line (`sep=;`)."""
    found = re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE)
    return found.group(1) if found else None


def sniff_delimiter(sample: str, quoting: bool | None = None) -> str:
    """The delimiter that divides most lines into the same number of fields; a comma where none does."""
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        rows = split_rows(sample, Dialect(delimiter=delimiter, quoting=quoting is not False and len(delimiter) == 1))
        widths = Counter(len(row) for row in rows)
        if not widths:
            continue
        width, count = widths.most_common(1)[0]
        agreement = count / len(rows)
        if width < 2 or agreement < (0.98 if delimiter == " " else 0.7):
            continue
        score = agreement * (1 + 0.1 * min(width, 10)) * _cell_quality(rows, delimiter)
        if score > best_score * 1.001:
            best, best_score = delimiter, score
    return best


def _cell_quality(rows: list[tuple[str, ...]], delimiter: str) -> float:
    """Below 1 where a delimiter seems to cut inside words, quotes, numbers or dates."""
    if delimiter in ("::", "\t"):
        return 1.5
    cells = [cell for row in rows[:100] for cell in row]
    broken = sum(cell.startswith((" ", ":")) or cell.count('"') % 2 == 1 for cell in cells)
    quality = 1.0 - broken / max(len(cells), 1)
    if delimiter == " ":
        numbers = sum(bool(_NUMBER.match(cell)) for cell in cells)
        quality *= 0.5 if numbers > 0.6 * len(cells) else 0.01
    return quality


def _uses_quotes(sample: str, delimiter: str) -> bool:
    """Whether some field is wrapped in quotes: they open where a field begins and close where it ends."""
    if len(delimiter) > 1 or '"' not in sample:
        return len(delimiter) == 1
    mark = re.escape(delimiter)
    opened = len(re.findall(rf'(?:^|{mark})"', sample, re.MULTILINE))
    wrapped = max(
        len(re.findall(rf'(?:^|{mark})"(?:{inside})*"(?={mark}|$)', sample, re.MULTILINE))
        for inside in ('[^"]|""', r'[^"\\]|""|\\.')
    )
    return opened == 0 or wrapped >= 0.5 * opened


def _escapes_quotes(sample: str, delimiter: str) -> bool:
    """Whether a backslash makes a quote literal: such a quote stands inside a quoted field where none can end."""
    mark = re.escape(delimiter)
    return re.search(rf'(?:^|{mark})"[^"]*\\"(?!{mark}|"|$)', sample, re.MULTILINE) is not None


def split_rows(sample: str, dialect: Dialect, cut: bool = False) -> list[tuple[str, ...]]:
    """The first rows of a sample as text cells; empty lines are no rows. cut: it may end inside a quoted field."""
    if len(dialect.delimiter) > 1:
        return [tuple(line.split(dialect.delimiter)) for line in sample.split("\n")[:MOST_LINES] if line]
    reader = csv.reader(
        io.StringIO(sample, newline=""),
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoting else csv.QUOTE_NONE,
        escapechar="\\" if dialect.escape else None,
    )
    rows: list[tuple[str, ...]] = []
    try:
        for row in reader:
            if row:
                rows.append(tuple(row))
            if len(rows) == MOST_LINES:
                return rows
    except csv.Error:
        return rows
    if cut and rows:
        rows.pop()
    return rows


def _lines_of_first_record(sample: str, dialect: Dialect) -> int:
    """How many lines the header takes (a quoted name may hold line breaks)."""
    if not dialect.quoting:
        return 1
    reader = csv.reader(
        io.StringIO(sample, newline=""),
        delimiter=dialect.delimiter,
        escapechar="\\" if dialect.escape else None,
    )
    next(reader)
    return reader.line_num


def looks_like_header(rows: list[tuple[str, ...]]) -> bool:
    """Whether the first row holds names: no number or date in it, and known words or data below that look different."""
    first = [cell.strip() for cell in rows[0]]
    if any(_NUMBER.match(cell) or _DATE_LIKE.search(cell) for cell in first) or not any(first):
        return False
    if sum(is_known_name(cell.partition(":")[0]) for cell in first) >= max(1, len(first) // 3):
        return True
    below = [[cell.strip() for cell in row] for row in rows[1:] if len(row) == len(first)]
    if not below:
        return len(set(first)) == len(first) and len(first) > 1
    for position, name in enumerate(first):
        column = [row[position] for row in below]
        if _is_numeric(column):
            return True
        if name in column:
            return False
    return all(len(cell) < 40 for cell in first) and all(any(letter.isdigit() for letter in row[0]) for row in below)


def _is_numeric(column: list[str]) -> bool:
    """Whether cells are numbers, a few misprints aside."""
    return sum(bool(_NUMBER.match(cell)) for cell in column) > 0.8 * len(column)


def sniff_decimal(rows: list[tuple[str, ...]] | tuple[tuple[str, ...], ...]) -> str:
    """A comma where some column of numbers is written with decimal commas and none with decimal points."""
    commas = points = 0
    width = max((len(row) for row in rows), default=0)
    for position in range(width):
        column = [row[position].strip() for row in rows if len(row) > position and row[position].strip()]
        if column and _is_numeric(column):
            commas += any(_DECIMAL_COMMA.match(cell) for cell in column)
            points += any(_DECIMAL_POINT.match(cell) for cell in column)
    return "," if commas and not points else "."
