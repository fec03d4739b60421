"""Finding out how a text table is written."""

from __future__ import annotations

import pytest

from recsys_desktop.data.errors import EmptyFile, NotText, UnknownEncoding
from recsys_desktop.data.readers.sniffing import sniff_delimiter, sniff_text
from recsys_desktop.data.request import ReadOptions

ROWS = [("u1", "i7", "4"), ("u2", "i7", "3"), ("u2", "i8", "5")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "::", " "])
def test_delimiters_are_told_apart(delimiter) -> None:
    text = "\n".join(delimiter.join(row) for row in [("1", "31", "2.5"), ("1", "1029", "3.0"), ("7", "10", "4.0")] * 3)
    assert sniff_delimiter(text) == delimiter


def test_genres_and_titles_do_not_decide() -> None:
    text = '1,"American President, The (1995)",Comedy|Drama|Romance\n2,Nixon (1995),Drama\n3,Casino,Crime|Drama\n'
    assert sniff_delimiter(text) == ","
    assert sniff_delimiter("1::Toy Story (1995)::Animation|Children's\n2::Jumanji: a, b (1995)::Adventure\n") == "::"


def test_semicolons_win_over_decimal_commas(write) -> None:
    layout = sniff_text(write("r.csv", "user;item;rating\nu1;i1;3,5\nu2;i1;4,0\n"), ReadOptions())
    assert (layout.dialect.delimiter, layout.decimal) == (";", ",")


def test_one_misprint_does_not_hide_decimal_commas(write) -> None:
    rows = "".join(f"u{row};i{row};{'x' if row == 3 else '3,5'}\n" for row in range(8))
    layout = sniff_text(write("r.csv", f"user;item;rating\n{rows}"), ReadOptions())
    assert (layout.dialect.delimiter, layout.decimal) == (";", ",")


def test_a_title_with_commas_is_no_decimal_comma(write) -> None:
    layout = sniff_text(write("r.csv", 'item;title;price\n1;"a, b";2.5\n2;"1,2";3.5\n'), ReadOptions())
    assert layout.decimal == "."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user,item,rating\nu1,i1,3\n", True),
        ("u1,i1,3\nu2,i2,4\n", False),
        ("1,31,2.5,1260759144\n1,1029,3.0,1260759179\n", False),
        ("kunde;artikel;bewertung\nA;B;3\nC;D;4\n", True),
        ("who,what\nanna,tea\nbert,coffee\nanna,coffee\n", False),
        ("who,what,howmuch\nanna,tea,2\nbert,coffee,3\n", True),
        ("id,title\n1,Casablanca\n2,Vertigo\n", True),
        ("2020-01-01,u1,i1\n2020-01-02,u2,i2\n", False),
    ],
)
def test_headers_are_told_from_rows(write, text, expected) -> None:
    layout = sniff_text(write("file.csv", text), ReadOptions())
    assert (layout.header_line is not None) == expected


def test_what_is_given_is_taken(write) -> None:
    path = write("file.csv", "a;b,c\nd;e,f\n")
    layout = sniff_text(path, ReadOptions(delimiter=",", header=True, decimal=",", encoding="latin-1"))
    assert layout.names == ("a;b", "c")
    assert (layout.decimal, layout.dialect.encoding) == (",", "latin-1")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("latin-1", "latin-1"),
    ],
)
def test_encodings_of_western_text(write, encoding, expected) -> None:
    path = write("file.csv", "user,title\nu1,Amélie\nu2,Das Leben der Anderen\n" * 20, encoding)
    layout = sniff_text(path, ReadOptions())
    assert layout.dialect.encoding == expected
    assert layout.names == ("user", "title")
    assert layout.rows[0] == ("u1", "Amélie")


def test_curly_quotes_mean_cp1252(write) -> None:
    layout = sniff_text(write("f.csv", "user,title\nu1,It’s – fine\n" * 9, "cp1252"), ReadOptions())
    assert layout.rows[0][1] == "It’s – fine"


def test_cyrillic_single_bytes_are_read(write) -> None:
    text = "пользователь;фильм;оценка\n" + "Иван;Ирония судьбы, или С лёгким паром;5\nАнна;Бриллиантовая рука;4\n" * 30
    layout = sniff_text(write("f.csv", text, "cp1251"), ReadOptions())
    assert layout.rows[0][:2] == ("Иван", "Ирония судьбы, или С лёгким паром")


def test_sep_line_of_a_spreadsheet(write) -> None:
    layout = sniff_text(write("f.csv", "sep=;\nuser;item\nu1;i1\n"), ReadOptions())
    assert (layout.names, layout.header_line, layout.first_line) == (("user", "item"), 2, 3)


def test_quotes_as_ordinary_characters(write) -> None:
    text = 'id\ttitle\n1\t"Weird Al" Yankovic\n2\t12" singles\n3\t"Heroes\n'
    layout = sniff_text(write("f.tsv", text), ReadOptions())
    assert not layout.dialect.quoting
    assert [row[1] for row in layout.rows] == ['"Weird Al" Yankovic', '12" singles', '"Heroes']


def test_backslashes_before_quotes(write) -> None:
    plain = sniff_text(write("a.csv", 'user,item\n"u\\","\\"\n"u2","a ""b\\"""\n'), ReadOptions())
    assert (plain.dialect.escape, plain.rows) == (False, (("u\\", "\\"), ("u2", 'a "b\\"')))
    escaped = sniff_text(write("b.csv", 'user,item\n"u1","a \\"b\\""\n'), ReadOptions())
    assert (escaped.dialect.escape, escaped.rows) == (True, (("u1", 'a "b"'),))


def test_empty_and_binary_content(write) -> None:
    with pytest.raises(EmptyFile):
        sniff_text(write("empty.csv", ""), ReadOptions())
    with pytest.raises(EmptyFile):
        sniff_text(write("blank.csv", "\n \n\n"), ReadOptions())
    with pytest.raises(NotText):
        sniff_text(write("junk.csv", bytes(range(256)) * 20), ReadOptions())


def test_a_wrong_encoding_is_named_with_its_line(write) -> None:
    path = write("f.csv", "user,title\nu1,a\nu2,Amélie\n", "latin-1")
    with pytest.raises(UnknownEncoding, match=r"f\.csv, line 3: a character is not valid utf-8"):
        sniff_text(path, ReadOptions(encoding="utf-8"))
