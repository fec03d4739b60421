"""Dividing text into blocks of whole records, and the lines on which records begin."""

from __future__ import annotations

import csv
import gzip
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys_desktop.data.errors import DamagedFile, UnclosedQuote, UnknownEncoding
from recsys_desktop.data.readers.blocks import Dialect, quote_toggles, record_lines, text_blocks

FIELDS = st.text(alphabet=st.sampled_from('ab",;\n\r é7 '), max_size=6)
ROWS = st.lists(st.lists(FIELDS, min_size=2, max_size=3), min_size=1, max_size=12)


def as_csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def lines_by_csv_module(text: str) -> list[int]:
    """On which line each record begins, by the standard library's reader."""
    reader = csv.reader(io.StringIO(text, newline=""))
    lines, before = [], 0
    for row in reader:
        if row:
            lines.append(before + 1)
        before = reader.line_num
    return lines


@given(ROWS, st.integers(1, 40))
@example([["a", 'x\n"y"'], ["", "b"]], 3)
def test_blocks_hold_whole_records_on_the_right_lines(tmp_path_factory, rows, block_bytes) -> None:
    text = as_csv(rows).replace("\r", "")
    path = tmp_path_factory.mktemp("blocks") / "file.csv"
    path.write_bytes(text.encode())
    blocks = list(text_blocks(path, Dialect(), block_bytes=block_bytes))

    assert b"".join(block.data for block in blocks).decode() == text
    found = np.concatenate([record_lines(block, Dialect()) for block in blocks]) if blocks else []
    assert list(found) == lines_by_csv_module(text)
    assert all(before.fraction <= after.fraction for before, after in pairwise(blocks))


def test_quotes_in_the_middle_of_a_field_open_nothing() -> None:
    data = b'a,5" pipe,"x ""y"" z",12"\nb,"c\nd",e\n'
    opened = [data[: int(position)].count(b",") for position in quote_toggles(data, Dialect())[::2]]
    assert opened[0] == 2
    assert quote_toggles(b'1,2" a\n3,"4\n5"\n', Dialect()).tolist() == [9, 13]


def test_escaped_quotes_close_nothing() -> None:
    dialect = Dialect(escape=True)
    assert quote_toggles(rb'"a\"b",c', dialect).tolist() == [0, 5]
    assert quote_toggles(rb'"a\\",c', dialect).tolist() == [0, 4]


@pytest.mark.parametrize("block_bytes", [3, 7, 1 << 20])
def test_every_line_end_is_a_line_end(write, block_bytes) -> None:
    path = write("mixed.csv", "a,1\r\nb,2\rc,3\nd,4")
    blocks = list(text_blocks(path, Dialect(), block_bytes=block_bytes))
    assert b"".join(block.data for block in blocks) == b"a,1\nb,2\nc,3\nd,4"
    assert np.concatenate([record_lines(block, Dialect()) for block in blocks]).tolist() == [1, 2, 3, 4]


def test_a_header_of_several_lines_is_skipped(write) -> None:
    path = write("header.csv", '"user\nid",item\n1,2\n')
    (block,) = text_blocks(path, Dialect(), skip_lines=2)
    assert (block.data, block.first_line) == (b"1,2\n", 3)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "shift_jis"])
@pytest.mark.parametrize("block_bytes", [2, 5, 1 << 20])
def test_encodings_become_utf8_whatever_the_block_cuts(write, encoding, block_bytes) -> None:
    text = "käse,1\n" if encoding not in ("shift_jis",) else "チーズ,1\n"
    path = write("text.csv", (text * 5).encode(encoding))
    name = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    data = b"".join(block.data for block in text_blocks(path, Dialect(encoding=name), block_bytes=block_bytes))
    assert data.decode() == text * 5


def test_a_guessed_utf8_gives_way_to_cp1252_after_ascii(write) -> None:
    path = write("late.csv", b"a,1\n" * 10 + "café,2\n".encode("cp1252"))
    data = b"".join(block.data for block in text_blocks(path, Dialect(), block_bytes=8))
    assert data.decode().endswith("café,2\n")


def test_an_encoding_that_was_given_is_never_changed(write) -> None:
    path = write("late.csv", b"a,1\n" * 10 + "café,2\n".encode("cp1252"))
    with pytest.raises(UnknownEncoding) as caught:
        list(text_blocks(path, Dialect(encoding_given=True), block_bytes=8))
    assert caught.value.line == 11
    assert "late.csv, line 11" in str(caught.value)


def test_a_quote_that_never_closes_is_named_with_its_line(write) -> None:
    path = write("open.csv", 'a,b\nc,"d\n' + "e,f\n" * 50)
    with pytest.raises(UnclosedQuote) as caught:
        list(text_blocks(path, Dialect(), block_bytes=16))
    assert caught.value.line == 2


def test_gzip_is_unpacked_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 1000))
    blocks = list(text_blocks(path, Dialect(), block_bytes=512))
    assert b"".join(block.data for block in blocks) == b"1,2\n" * 1000
    assert blocks[-1].fraction == 1.0


def test_half_a_gzip_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(1).bytes(5000))[:2000])
    with pytest.raises(DamagedFile):
        list(text_blocks(path, Dialect(encoding="latin-1"), block_bytes=512))
