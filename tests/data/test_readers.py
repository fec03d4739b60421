"""Every file layout, by tiny files in its real form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from recsys_desktop.api import ReaderSpec, Role, RunContext
from recsys_desktop.data import FileKind, ReadOptions, build_dataset, inspect_files
from recsys_desktop.data.opening import open_file
from recsys_desktop.data.readers.built_in import BUILT_IN_READERS
from recsys_desktop.data.request import BuildRequest, FileSource
from recsys_desktop.data.table import Preference

U_ITEM = (
    "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)"
    "|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "2|Misérables, Les (1995)|14-Jul-1995||http://x|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0\n"
)


def described(path: Path, item: str) -> dict[str, Any]:
    """What the item file says about one item."""
    dataset, _ = build_dataset(BuildRequest.of([], items=path))
    return dataset.item_features.describe(dataset.item_vocabulary.code(item))


def roles(path: Path) -> dict[str, str]:
    return {name: role.value for name, role in open_file(FileSource(path)).roles.items()}


class TestMovieLens:
    def test_100k(self, write) -> None:
        data = write("u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t377\t1\t878887116\n")
        dataset, report = build_dataset(BuildRequest.of([data], items=write("u.item", U_ITEM, "latin-1")))
        assert dataset.user_vocabulary.ids.tolist() == ["196", "186"]
        assert dataset.item_vocabulary.ids.tolist() == ["242", "302", "377", "1", "2"]
        assert dataset.ratings is not None
        assert dataset.ratings.tolist() == [3, 3, 1]
        assert dataset.timestamps is not None
        assert dataset.timestamps.tolist() == [881250949, 891717742, 878887116]
        assert report.files[0].layout["format"] == "ratings of MovieLens 100K"

    def test_100k_items(self, write) -> None:
        path = write("u.item", U_ITEM, "latin-1")
        first = described(path, "1")
        assert first["genres"] == ["Animation", "Children's", "Comedy"]
        assert first["release date"] == pytest.approx(1995.0, abs=0.01)
        assert described(path, "2")["title"] == "Misérables, Les (1995)"
        assert described(path, "2")["genres"] == ["Drama", "Musical"]

    def test_100k_people(self, write) -> None:
        people = write("u.user", "1|24|M|technician|85711\n2|53|F|other|94043\n")
        data = write("u.data", "2\t242\t3\t881250949\n1\t302\t3\t891717742\n")
        dataset, _ = build_dataset(BuildRequest.of([data], users=people))
        assert dataset.user_features.describe(0) == {"age": 53.0, "gender": "F", "occupation": "other"}

    def test_1m(self, write) -> None:
        ratings = write("ratings.dat", "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n")
        movies = write("movies.dat", "661::James & the Giant Peach (1996)::Animation|Children's\n9::A: B::Drama\n")
        users = write("users.dat", "1::F::1::10::48067\n2::M::56::16::70072\n")
        dataset, report = build_dataset(BuildRequest.of([ratings], items=movies, users=users))
        assert dataset.item_vocabulary.ids.tolist() == ["1193", "661", "9"]
        assert dataset.item_features.describe(1)["genres"] == ["Animation", "Children's"]
        assert dataset.item_features.describe(2)["title"] == "A: B"
        assert dataset.user_features.describe(0) == {"gender": "F", "age": "under 18", "occupation": "school student"}
        assert [list(problem.values) for problem in report.problems] == [["1193"]]

    def test_10m_tags_are_whole(self, write) -> None:
        tags = write("tags.dat", "15::4973::excellent, really!::1215184630\n20::4973::politics::1188263867\n")
        assert described(tags, "4973") == {"tag": ["excellent, really!", "politics"]}

    def test_csv_with_tags_and_links(self, write) -> None:
        ratings = write("ratings.csv", "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n2,10,4.0,835355493\n")
        movies = write("movies.csv", 'movieId,title,genres\n31,"American President, The (1995)",Comedy|Drama\n')
        tags = write("tags.csv", "userId,movieId,tag,timestamp\n15,31,president,1\n16,31,a|b,2\n15,31,president,9\n")
        links = write("links.csv", "movieId,imdbId,tmdbId\n31,0112346,9087\n10,0113189,\n")
        kinds = [file.kind for file in inspect_files([ratings, movies, tags, links])]
        assert kinds == [FileKind.INTERACTIONS, FileKind.ITEMS, FileKind.ITEMS, FileKind.ITEMS]
        dataset, _ = build_dataset(BuildRequest.of([ratings], items=[movies, tags, links]))
        assert dataset.item_features.describe(0) == {
            "title": "American President, The (1995)",
            "genres": ["Comedy", "Drama"],
            "tag": ["president", "a|b"],
        }

    @pytest.mark.parametrize(
        ("lines", "kept", "left_out"),
        [
            (["1::10::5::978300760", "1::20::4::978302109", "2::30::3"], [5, 4], [3]),
            (
                ["1::10::5::978300760", "1::20::4::978302109", "2::30::bad::978301968", "2::10::3", "3::20::3::978300"],
                [5, 4, 3],
                [3, 4],
            ),
            (["1::10::5::978300760", "2::30::bad::978301968"], [5], [2]),
        ],
    )
    def test_damaged_lines_do_not_hide_what_a_small_file_is(self, write, lines, kept, left_out) -> None:
        dataset, report = build_dataset(BuildRequest.of([write("ratings.dat", "\n".join(lines) + "\n")]))
        assert dataset.ratings is not None
        assert dataset.ratings.tolist() == kept
        assert sorted(line for problem in report.problems for line in problem.lines.tolist()) == left_out
        assert dataset.timestamps is not None

    def test_column_names_are_not_taken_for_a_damaged_line(self, write) -> None:
        text = "UserID::MovieID::Rating::Timestamp\n1::10::5::978300760\n1::20::4::978302109\n"
        dataset, report = build_dataset(BuildRequest.of([write("ratings.dat", text)]))
        assert (len(dataset), report.problems) == (2, ())


class TestRecBole:
    def test_all_three_files(self, write) -> None:
        inter = write(
            "ml.inter",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\tlatency:float\n"
            "007\t31\t3\t881250949\t.5\n7\t31\t4\t881250950\t.7\n",
        )
        item = write(
            "ml.item",
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tvector:float_seq\n"
            "31\tToy Story\t1995\tAnimation Comedy\t.5 1.5\n",
        )
        user = write("ml.user", "user_id:token\tage:float\tgender:token\n7\t24\tM\n007\t53\tF\n")
        dataset, report = build_dataset(BuildRequest.of([inter], items=item, users=user))
        assert dataset.user_vocabulary.ids.tolist() == ["007", "7"]
        assert dataset.item_features.describe(0) == {
            "movie_title": "Toy Story",
            "release_year": 1995.0,
            "class": ["Animation", "Comedy"],
            "vector 1": 0.5,
            "vector 2": 1.5,
        }
        assert dataset.user_features.describe(0) == {"age": 53.0, "gender": "F"}
        assert report.files[0].roles == {
            "user_id": Role.USER,
            "item_id": Role.ITEM,
            "rating": Role.RATING,
            "timestamp": Role.TIMESTAMP,
        }

    def test_a_plain_csv_under_its_name_is_read_as_what_it_is(self, write) -> None:
        assert roles(write("x.inter", "user,item\nu1,i1\nu2,i2\n")) == {"user": "user", "item": "item"}


class TestOrange:
    def test_three_header_rows(self, write) -> None:
        path = write(
            "toy.tab",
            "tid\tuser\tmovie\tscore\nstring\td\td\tcontinuous\nmeta\trow=1\tcol=1\tclass\n"
            "1\tBreza\tHarrySally\t2\n2\tDana\tCvetje\t5\n",
        )
        dataset, report = build_dataset(BuildRequest.of([path]))
        assert dataset.user_vocabulary.ids.tolist() == ["Breza", "Dana"]
        assert dataset.ratings is not None
        assert dataset.ratings.tolist() == [2, 5]
        assert report.rows_read == 2
        assert list(report.files[0].roles) == ["user", "movie", "score"]

    def test_problem_lines_count_the_header(self, write) -> None:
        path = write("toy.tab", "user\titem\tscore\nd\td\tc\nrow=1\tcol=1\tclass\na\tb\t3\na\tc\tx\na\td\t4\na\te\t4\n")
        _, report = build_dataset(BuildRequest.of([path]))
        assert report.problems[0].lines.tolist() == [5]


class TestParquet:
    def test_typed_columns(self, tmp_path) -> None:
        path = tmp_path / "r.parquet"
        table = pa.table(
            {
                "user_id": pa.array([12345678901234567890, 7, 7], pa.uint64()),
                "item_id": pa.array(["007", "7", None]),
                "rating": pa.array([4.5, 3.0, 1.0], pa.float32()),
                "when": pa.array([10**12, 2 * 10**12, 3], pa.timestamp("ms")),
            }
        )
        parquet.write_table(table, path)
        dataset, report = build_dataset(BuildRequest.of([path]))
        assert dataset.user_vocabulary.ids.tolist() == ["12345678901234567890", "7"]
        assert dataset.item_vocabulary.ids.tolist() == ["007", "7"]
        assert dataset.timestamps is not None
        assert dataset.timestamps.tolist() == [10**9, 2 * 10**9]
        assert [(problem.kind.value, problem.lines.tolist()) for problem in report.problems] == [("missing item", [3])]

    def test_the_same_data_has_the_same_fingerprint_in_every_format(self, write, tmp_path) -> None:
        rows = [("a", "x", 4.0, 10), ("b", "x", 3.5, 20), ("a", "y", 1.0, 15)]
        frame = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
        frame["timestamp"] += 10**9
        frame.to_csv(tmp_path / "a.csv", index=False)
        frame.to_csv(tmp_path / "b.tsv", index=False, sep="\t", encoding="utf-16")
        frame.to_parquet(tmp_path / "c.parquet")
        frame.to_json(tmp_path / "d.jsonl", orient="records", lines=True)
        frame.to_json(tmp_path / "e.json", orient="records")
        frame.to_excel(tmp_path / "f.xlsx", index=False)
        found = {
            path.name: build_dataset(BuildRequest.of([path]))[0].fingerprint for path in sorted(tmp_path.iterdir())
        }
        assert len(found) == 6
        assert len(set(found.values())) == 1, found


class TestJson:
    def test_lines_keep_digits_and_lists(self, write) -> None:
        path = write(
            "items.jsonl",
            '{"asin": 12345678901234567890123, "title": "A", "skills": ["x, y", "z"], "more": {"price": 3.50}}\n'
            '\n{"asin": "007", "title": "B", "skills": null}\n',
        )
        dataset, _ = build_dataset(BuildRequest.of([], items=path))
        assert dataset.item_vocabulary.ids.tolist() == ["12345678901234567890123", "007"]
        assert dataset.item_features.describe(0) == {"title": "A", "skills": ["x, y", "z"], "more.price": 3.5}

    def test_bad_lines_are_reported(self, write) -> None:
        good = '{"user": "u%d", "item": "i", "rating": %d}\n'
        path = write("r.jsonl", good % (1, 4) + "{oops\n" + good % (2, 3) + "[1]\n")
        dataset, report = build_dataset(BuildRequest.of([path]))
        assert len(dataset) == 2
        assert report.problems[0].lines.tolist() == [2, 4]

    def test_a_list_inside_an_object(self, write) -> None:
        path = write("r.json", json.dumps({"version": 1, "ratings": [{"user": 1, "item": "a", "rating": 5}]}))
        assert len(build_dataset(BuildRequest.of([path]))[0]) == 1

    def test_texts_with_taxonomy_labels(self, write) -> None:
        records = [{"id": f"t{n}", "text": "Learn things " * 9, "labels": ["B", "A"]} for n in range(3)]
        dataset, _ = build_dataset(BuildRequest.of([write("texts.json", json.dumps(records))]))
        assert (dataset.n_users, len(dataset), dataset.n_items) == (0, 0, 3)
        assert dataset.item_features.describe(2)["labels"] == ["B", "A"]


class TestExcel:
    def test_numbers_as_ids_and_dates(self, tmp_path) -> None:
        workbook = openpyxl.Workbook()
        workbook.active.title = "empty"
        sheet = workbook.create_sheet("ratings")
        sheet.append(["Kunde", "Artikel", "Bewertung", "Datum"])
        sheet.append([1001, "007", 4.5, pd.Timestamp("2020-02-01").to_pydatetime()])
        sheet.append([1002, 7, 3, pd.Timestamp("2020-02-02 12:00").to_pydatetime()])
        workbook.save(tmp_path / "r.xlsx")
        dataset, report = build_dataset(BuildRequest.of([tmp_path / "r.xlsx"]))
        assert dataset.user_vocabulary.ids.tolist() == ["1001", "1002"]
        assert dataset.item_vocabulary.ids.tolist() == ["007", "7"]
        assert dataset.timestamps is not None
        assert dataset.timestamps.tolist() == [1580515200, 1580644800]
        assert report.files[0].layout["sheet"] == "ratings"


class TestBookCrossing:
    RATINGS = '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"0"\n"276726";"0155061224";"5"\n'
    BOOKS = (
        '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"\n'
        '"034545104X";"Flesh Tones: A Novel; with a semicolon";"M. J. Rose";"2002";"Ballantine";"http://a.jpg"\n'
        '"0155061224";"Dress \\"Code\\" München";"J. Doe";"1999";"Ballantine";"http://b.jpg"\n'
    )
    USERS = '"User-ID";"Location";"Age"\n"276725";"tyler, texas, usa";NULL\n"276726";"seattle, washington, usa";"34"\n'

    def test_semicolons_quotes_and_latin(self, write) -> None:
        request = BuildRequest.of(
            [write("BX-Book-Ratings.csv", self.RATINGS, "latin-1")],
            items=write("BX-Books.csv", self.BOOKS, "latin-1"),
            users=write("BX-Users.csv", self.USERS, "latin-1"),
        )
        dataset, report = build_dataset(request)
        assert dataset.item_features.titles is not None
        assert dataset.item_features.titles.tolist() == [
            "Flesh Tones: A Novel; with a semicolon",
            'Dress "Code" München',
        ]
        assert dataset.item_features.describe(0)["Year-Of-Publication"] == 2002.0
        assert "Image-URL-S" not in dataset.item_features.columns
        assert np.isnan(dataset.user_features.columns["Age"].values[0])  # type: ignore[union-attr]
        assert report.rows_kept == 2


class TestDelimited:
    def test_lines_are_right_after_quoted_line_breaks_and_empty_lines(self, write) -> None:
        text = (
            'user,item,rating\n\n"u\n1",i1,4\nu2,i1,oops\n\n\nu3,i2,3\nu4\nu5,i1,\nu6,"i\n\n2",1\nu7,i1,inf\nu8,i1,2\n'
        )
        _, report = build_dataset(BuildRequest.of([write("r.csv", text)]))
        places = {problem.kind.value: problem.lines.tolist() for problem in report.problems}
        assert places == {
            "unparsable row": [9],
            "unparsable rating": [5],
            "missing rating": [10],
            "rating is not finite": [14],
        }
        assert (report.rows_read, report.rows_kept) == (8, 4)

    def test_rows_with_an_index_column(self, write) -> None:
        path = write("r.csv", "user,item,rating\n0,a,x,4\n1,b,x,3\n2,b,y,5\n")
        dataset, _ = build_dataset(BuildRequest.of([path]))
        assert dataset.user_vocabulary.ids.tolist() == ["a", "b"]

    def test_no_header_and_no_names(self, write) -> None:
        path = write("r.txt", "1 31 2.5 1260759144\n1 1029 3.0 1260759179\n7 31 4.0 1260759182\n")
        assert roles(path) == {"column 1": "user", "column 2": "item", "column 3": "rating", "column 4": "timestamp"}

    def test_repeated_and_empty_names(self, write) -> None:
        path = write("r.csv", "user,,item,item\nu,1,i,j\n")
        assert list(roles(path)) == ["user", "column 2", "item", "item (2)"]

    def test_any_delimiter_on_request(self, write) -> None:
        path = write("r.txt", "user~~item~~rating\nu1~~a,b~~4\nu2~~c~~5\n")
        request = BuildRequest.of([path], options=ReadOptions(delimiter="~~"))
        assert build_dataset(request)[0].item_vocabulary.ids.tolist() == ["a,b", "c"]

    def test_a_long_file_is_read_in_many_blocks(self, write, monkeypatch) -> None:
        monkeypatch.setattr("recsys_desktop.data.readers.blocks.text_blocks.__defaults__", (0, 700))
        rows = "".join(f"u{n % 97},i{n % 89},{n % 5 + 1},{10**9 + n}\n" for n in range(3000))
        path = write("r.csv", "user,item,rating,timestamp\n" + rows)
        table = open_file(FileSource(path)).table
        batches = list(table.batches(["user", "rating"], RunContext(), Preference(frozenset(["user"]))))
        assert len(batches) > 50
        users = [user for batch in batches for user in batch.columns["user"].to_pylist()]
        assert users == [f"u{n % 97}" for n in range(3000)]
        lines = np.concatenate([batch.lines.at(np.arange(batch.rows)) for batch in batches])
        assert lines.tolist() == list(range(2, 3002))


def test_readers_give_plain_data_frames_to_others(write) -> None:
    path = write("r.csv", "user;item;rating\n007;a;3,5\n")
    spec = next(spec for spec in BUILT_IN_READERS if spec.id == "csv")
    frame = spec.read(path, {"delimiter": ";"})
    assert frame.to_dict("records") == [{"user": "007", "item": "a", "rating": "3,5"}]


def test_a_readers_of_a_plugin_is_used_and_its_failure_named(write) -> None:
    def read(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
        if b"broken" in path.read_bytes():
            raise RuntimeError("boom")
        return pd.DataFrame({"user": ["1", "2"], "item": ["a", "b"], "rating": [1.0, 2.0]})

    def sniff(path: Path, head: bytes) -> float:
        return 1.0 if head.startswith(b"MAGIC") else 0.0

    readers = (*BUILT_IN_READERS, ReaderSpec("magic", "Magic", (".magic",), sniff, read))
    dataset, report = build_dataset(BuildRequest.of([write("a.magic", "MAGIC")]), readers=readers)
    assert (len(dataset), report.files[0].reader) == (2, "magic")
    with pytest.raises(Exception, match=r"b\.magic: the reader 'magic' failed \(RuntimeError: boom\)"):
        build_dataset(BuildRequest.of([write("b.magic", "MAGIC broken")]), readers=readers)
