"""Choose the reader of a file by its content, and refuse a file that is not what its name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.data.errors import EmptyFile, FileMissing, NotWhatItsNameSays, UnknownFormat
from recsys_desktop.data.readers.blocks import read_head
from recsys_desktop.data.readers.built_in import BUILT_IN_READERS
from recsys_desktop.data.readers.foreign import FrameTable
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import Table, TableReaderSpec

HEAD_BYTES = 1 << 16

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", "Name it .gz to have it unpacked while reading"),
    (b"PK\x03\x04", "a zip archive", "Unpack it first"),
    (b"BZh", "a bzip2 archive", "Unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "Unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it first"),
    (b"%PDF", "a PDF document", "Export the table as CSV"),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Save it as .xlsx or CSV"),
    (b"\x89PNG", "a picture", ""),
    (b"\xff\xd8\xff", "a picture", ""),
    (b"\x89HDF", "an HDF5 file", "Export the table as CSV or Parquet"),
    (b"\x93NUMPY", "a NumPy array", "Export the table as CSV or Parquet"),
    (
        b"\x80\x04",
        "a Python pickle",
        "Export the table as CSV or Parquet; pickles are not opened, they can run programs",
    ),
)


def open_table(path: Path, options: ReadOptions, readers: Sequence[ReaderSpec] | None = None) -> Table:
    """Open a file with the reader that `options` names or that its content asks for.

    Raises
    ------
    FileMissing, EmptyFile, UnknownFormat, NotWhatItsNameSays, and what the reader raises.
    """
    spec = choose_reader(path, options, BUILT_IN_READERS if readers is None else readers)
    table = spec.open(path, options) if isinstance(spec, TableReaderSpec) else FrameTable(path, spec, options)
    table.reader_name = spec.name
    return table


def choose_reader(path: Path, options: ReadOptions, readers: Sequence[ReaderSpec]) -> ReaderSpec:
    """The reader for a file; the one that is surest of the content, the earlier where two are."""
    if path.is_dir():
        raise FileMissing(path, "this is a folder", advice="Name the files in it")
    head = read_head(path, HEAD_BYTES)
    if options.reader is not None:
        return _named(options.reader, readers)
    if not head:
        raise EmptyFile(path, "the file is empty")
    sure = {spec.id: _certainty(spec, path, head) for spec in readers}
    best = max(readers, key=lambda spec: sure[spec.id])
    if sure[best.id] <= 0:
        _refuse(path, head)
    _check_name(path, best, readers)
    return best


def _named(reader: str, readers: Sequence[ReaderSpec]) -> ReaderSpec:
    for spec in readers:
        if spec.id == reader:
            return spec
    raise InvalidParameter("reader", f"'{reader}' is unknown; there are: {', '.join(spec.id for spec in readers)}")


def _certainty(spec: ReaderSpec, path: Path, head: bytes) -> float:
    return float(min(max(spec.sniff(path, head), 0.0), 1.0))


def _refuse(path: Path, head: bytes) -> None:
    for signature, words, advice in _SIGNATURES:
        if head.startswith(signature):
            raise NotWhatItsNameSays(path, f"the content is {words}, not a table", advice=advice)
    raise UnknownFormat(path, "the content is neither text nor a format that a reader knows")


def _ending(path: Path) -> str:
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] == ".gz":
        endings.pop()
    return endings[-1] if endings else ""


def _check_name(path: Path, best: ReaderSpec, readers: Sequence[ReaderSpec]) -> None:
    """A name that promises another format is an error: whoever made the file may have mixed up two files."""
    promised = [spec for spec in readers if _ending(path) in spec.extensions]
    if not promised or any(_family(spec) == _family(best) for spec in promised):
        return
    names = " or ".join(dict.fromkeys(spec.name for spec in promised))
    raise NotWhatItsNameSays(
        path,
        f"its name says {names}, but its content is {best.name}",
        advice=f"Rename it, or choose the reader '{best.id}' if the content is right",
    )


def _family(spec: ReaderSpec) -> str:
    """Delimited formats share their endings; every other format has its own."""
    return "delimited" if isinstance(spec, TableReaderSpec) and spec.is_delimited else spec.id
