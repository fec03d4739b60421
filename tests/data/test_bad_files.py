"""One bad file for each failure: the error has its own type and says which file, where, and what to do."""

from __future__ import annotations

import builtins
import gzip
import os
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from recsys_desktop.api import InvalidParameter, Role, RunContext
from recsys_desktop.data import (
    CleaningOptions,
    DataFileError,
    ReadingStopped,
    ReadOptions,
    build_dataset,
    inspect_files,
    load_parts,
)
from recsys_desktop.data.errors import (
    DamagedFile,
    EmptyFile,
    FileMissing,
    HeaderOnly,
    MissingExtra,
    MissingRole,
    NotText,
    NotWhatItsNameSays,
    NoUsableRows,
    RepeatedRole,
    UnclosedQuote,
    UnknownColumn,
    UnknownFormat,
    UnreadableColumn,
)
from recsys_desktop.data.request import BuildRequest

GOOD = "user,item,rating\nu1,i1,3\nu2,i1,4\nu1,i2,5\n"


def refusal(path: Path, error: type[DataFileError], **details) -> DataFileError:
    """The error of importing a file, which must be of a type and name the file."""
    with pytest.raises(error) as caught:
        build_dataset(BuildRequest.of([path], **details))
    assert str(caught.value).startswith(path.name)
    assert caught.value.path == path
    return caught.value


@pytest.mark.parametrize("name", ["r.csv", "r.parquet", "r.json", "r.jsonl", "r.xlsx", "r.inter", "r.tab", "u.data"])
def test_an_empty_file(write, name) -> None:
    refusal(write(name, ""), EmptyFile)


def test_no_file_and_a_folder(tmp_path) -> None:
    refusal(tmp_path / "nowhere.csv", FileMissing)
    refusal(tmp_path, FileMissing)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", "user,item,rating\n"),
        ("r.csv", "user,item,rating"),
        ("r.tab", "user\titem\tscore\nd\td\tc\nrow=1\tcol=1\tclass\n"),
        ("r.inter", "user_id:token\titem_id:token\n"),
        ("r.json", "[]"),
    ],
)
def test_a_header_and_nothing_else(write, name, content) -> None:
    refusal(write(name, content), HeaderOnly)


def test_a_parquet_and_a_workbook_without_rows(tmp_path) -> None:
    pd.DataFrame({"user": [], "item": []}).to_parquet(tmp_path / "r.parquet")
    refusal(tmp_path / "r.parquet", HeaderOnly)
    openpyxl.Workbook().save(tmp_path / "r.xlsx")
    refusal(tmp_path / "r.xlsx", HeaderOnly)


def test_a_missing_role_names_the_columns_and_the_way_out(write) -> None:
    error = refusal(write("r.csv", "rating,timestamp\n3,964982703\n4,964982931\n"), MissingRole)
    assert "no column has the role 'user'" in str(error)
    assert "rating, timestamp" in str(error)
    assert "rating=user" in str(error)


def test_a_role_for_a_column_that_is_not_there(write) -> None:
    error = refusal(write("r.csv", GOOD), UnknownColumn, roles={"stars": "rating"})
    assert (error.column, "user, item, rating" in str(error)) == ("stars", True)


def test_a_role_twice(write) -> None:
    path = write("r.csv", "a,b,item\nu1,v1,i1\nu2,v2,i2\n")
    refusal(path, RepeatedRole, roles={"a": Role.USER, "b": Role.USER})


def test_a_role_that_does_not_exist(write) -> None:
    with pytest.raises(InvalidParameter, match="cannot be 'person'; the roles are user, item"):
        BuildRequest.of([write("r.csv", GOOD)], roles={"user": "person"})


def test_a_rating_column_of_text(write) -> None:
    path = write("r.csv", "user,item,rating\nu1,i1,good\nu2,i1,bad\nu1,i2,good\n")
    error = refusal(path, UnreadableColumn)
    assert (error.line, error.column) == (2, "rating")
    assert "'good'" in str(error)


def test_a_time_column_of_text(write) -> None:
    path = write("r.csv", "user,item,when\nu1,i1,often\nu2,i1,rarely\n")
    error = refusal(path, UnreadableColumn, roles={"when": "timestamp"})
    assert error.column == "when"
    assert "'often'" in str(error)


def test_a_truncated_parquet(tmp_path) -> None:
    path = tmp_path / "r.parquet"
    pd.DataFrame({"user": ["a", "b"] * 500, "item": range(1000)}).to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut short" in str(refusal(path, DamagedFile))
    path.write_bytes(whole[:200] + whole[-200:])
    refusal(path, DamagedFile)


def test_binary_junk(write) -> None:
    junk = b"\x00\x01\x02\xff\xfe" * 500
    refusal(write("r.csv", junk), UnknownFormat)
    with pytest.raises(NotText):
        build_dataset(BuildRequest.of([write("s.csv", junk)], options=ReadOptions(reader="csv")))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("r.csv", b"PK\x03\x04" + b"\x00" * 100, "a zip archive"),
        ("r.csv", b"%PDF-1.4\x00\x01", "a PDF document"),
        ("r.csv", b"\x80\x04\x95\x00\x00", "a Python pickle"),
        ("r.csv", gzip.compress(GOOD.encode()), "a gzip archive"),
        ("r.parquet", GOOD.encode(), "its name says Parquet, but its content is delimited text"),
        ("r.xlsx", GOOD.encode(), "its name says Excel workbook, but its content is delimited text"),
        ("r.csv", b'{"user": "u1", "item": "i1"}\n{"user": "u2", "item": "i1"}\n', "its content is JSON lines"),
        ("r.json", GOOD.encode(), "its content is delimited text"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(write, name, content, says) -> None:
    assert says in str(refusal(write(name, content), NotWhatItsNameSays))


def test_parquet_under_a_csv_name_is_read_when_asked(tmp_path) -> None:
    path = tmp_path / "r.csv"
    pd.DataFrame({"user": ["a"], "item": ["b"]}).to_parquet(path)
    assert "choose the reader 'parquet'" in str(refusal(path, NotWhatItsNameSays))
    assert len(build_dataset(BuildRequest.of([path], options=ReadOptions(reader="parquet")))[0]) == 1


def test_an_unknown_reader_and_option() -> None:
    with pytest.raises(InvalidParameter, match="'nope' is unknown; there are: movielens"):
        build_dataset(BuildRequest.of([__file__], options=ReadOptions(reader="nope")))
    with pytest.raises(InvalidParameter, match="reading options are: decimal, delimiter"):
        ReadOptions.parse({"separator": ","})
    with pytest.raises(InvalidParameter, match="encoding"):
        ReadOptions(encoding="utf-9")
    assert ReadOptions.parse({"delimiter": "tab", "header": "no"}) == ReadOptions(delimiter="\t", header=False)


def test_damaged_json(write) -> None:
    error = refusal(write("r.json", '[{"user": 1,\n "item": 2},\n {"user": '), DamagedFile)
    assert error.line == 3
    refusal(write("s.json", "[1, 2, 3]"), UnknownFormat)


def test_a_damaged_workbook(tmp_path) -> None:
    path = tmp_path / "r.xlsx"
    workbook = openpyxl.Workbook()
    for row in range(200):
        workbook.active.append([row, row + 1])
    workbook.save(path)
    path.write_bytes(path.read_bytes()[:3000])
    refusal(path, DamagedFile)


def test_a_workbook_without_openpyxl_names_the_extra(tmp_path, monkeypatch) -> None:
    path = tmp_path / "r.xlsx"
    openpyxl.Workbook().save(path)
    original = builtins.__import__

    def without(name, *arguments, **named):
        if name == "openpyxl":
            raise ImportError(name)
        return original(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert 'pip install "recsys-desktop[excel]"' in str(refusal(path, MissingExtra))


def test_a_quote_that_never_closes(write) -> None:
    path = write("r.csv", 'user,item,rating\n"u1",i1,3\n"u2",i1,4\n"u1",i2,5\n"u9,i1,3\n' + "u1,i7,3\n" * 10)
    assert refusal(path, UnclosedQuote).line == 5


def test_no_row_can_be_used(write) -> None:
    error = refusal(write("r.csv", "user,item,rating\n,i1,3\nu2,,4\nu3,i3,\n"), NoUsableRows)
    assert "none of the 3 rows" in str(error)


def test_a_bound_that_leaves_nothing(write) -> None:
    refusal(write("r.csv", GOOD), NoUsableRows, cleaning=CleaningOptions(rating_minimum=9))


def test_most_rows_have_another_width(write) -> None:
    path = write("r.csv", "user,item\n" + "u1,i1\n" + "a,b,c,d\n" * 10)
    error = refusal(path, UnreadableColumn, options=ReadOptions(header=True))
    assert (error.line, "2 columns; this one has 4" in str(error)) == (3, True)


def test_a_bad_event_strength(write) -> None:
    with pytest.raises(InvalidParameter, match="event_strengths"):
        build_dataset(BuildRequest.of([write("r.csv", GOOD)], cleaning=CleaningOptions(event_strengths=("view",))))


def test_no_files_at_all() -> None:
    with pytest.raises(InvalidParameter, match="at least one file"):
        build_dataset(BuildRequest())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom file modes bind")
def test_a_file_that_may_not_be_read(write) -> None:
    path = write("r.csv", GOOD)
    path.chmod(0)
    refusal(path, FileMissing)


class StopsAfter(RunContext):
    """Asks to stop once progress has been heard so many times."""

    def __init__(self, times: int, threads: int) -> None:
        super().__init__(threads=threads)
        self.left = times

    @property
    def should_stop(self) -> bool:
        return self.left <= 0

    def progress(self, fraction: float, text: str = "") -> None:
        assert 0 <= fraction <= 1
        self.left -= 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_an_import_stops_when_asked(write, monkeypatch, times, threads) -> None:
    monkeypatch.setattr("recsys_desktop.data.readers.blocks.text_blocks.__defaults__", (0, 500))
    path = write("r.csv", "user,item,rating\n" + "".join(f"u{n},i{n % 7},3\n" for n in range(3000)))
    run = StopsAfter(times, threads)
    with pytest.raises(ReadingStopped):
        build_dataset(BuildRequest.of([path]), run)
    assert run.left >= -2


def test_looking_and_parts_stop_too(write) -> None:
    path = write("r.csv", GOOD)
    with pytest.raises(ReadingStopped):
        inspect_files([path], run=StopsAfter(0, 1))
    with pytest.raises(ReadingStopped):
        load_parts(path, path, run=StopsAfter(0, 1))


def test_a_delimiter_that_leaves_a_single_column_is_probably_wrong(write) -> None:
    path = write("r.csv", "Kunde,Artikel,Bewertung\n1,2,3\n1,3,4\n")
    error = refusal(path, MissingRole, options=ReadOptions(delimiter=";"))
    assert "divided by semicolon and has a single column" in str(error)
    assert "the delimiter is probably wrong; try delimiter=comma" in str(error)
    assert "=item" not in str(error)


def test_short_rows_of_a_fixed_format_are_not_blamed_on_the_delimiter(write) -> None:
    text = "user_id:token\titem_id:token\trating:float\nu1\ti1\nu2\ti2\nu3\ti3\t4\n"
    error = refusal(write("r.inter", text), UnreadableColumn)
    assert error.line == 2
    assert "elimiter" not in str(error) and "quoting" not in str(error)
    assert "a field for every name of the header" in str(error)
