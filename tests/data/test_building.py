"""Cleaning and joining: what a Dataset holds, and what the report says was left out or merged, and where."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_desktop.api import Feedback, RatingScale, Role
from recsys_desktop.data import CleaningOptions, ImportReport, build_dataset, load_parts
from recsys_desktop.data.report import ProblemKind
from recsys_desktop.data.request import BuildRequest

IDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=25).map(str.strip).filter(bool)


def build(*paths, cleaning: CleaningOptions | None = None, **details):
    return build_dataset(BuildRequest.of(paths, cleaning=cleaning, **details))


def problems(report: ImportReport) -> dict[str, list[int]]:
    return {problem.kind.value: problem.lines.tolist() for problem in report.problems}


class TestIds:
    def test_zeros_digits_and_words_survive(self, write) -> None:
        ids = ["007", "7", "12345678901234567890", "1e5", "NA", "null", "0x1F", "1.0", "true", "é"]
        dataset, report = build(write("r.csv", "user,item\n" + "".join(f"{one},i\n" for one in ids)))
        assert dataset.user_vocabulary.ids.tolist() == ids
        assert any("is it a missing value?" in check.text for check in report.checks)

    def test_only_white_space_around_is_taken_away(self, write) -> None:
        dataset, _ = build(write("r.csv", 'user,item\n u 1 ,i\n"u 1\t",j\nU 1,i\n'))
        assert dataset.user_vocabulary.ids.tolist() == ["u 1", "U 1"]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(IDS, IDS), min_size=2, max_size=30, unique=True))
    def test_any_id_survives(self, tmp_path_factory, pairs) -> None:
        path = tmp_path_factory.mktemp("ids") / "r.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([("user", "item"), *pairs])
        dataset, report = build(path)
        found = [
            (dataset.user_vocabulary[user], dataset.item_vocabulary[item])
            for user, item in zip(dataset.users, dataset.items, strict=True)
        ]
        assert found == list(dict.fromkeys(pairs))
        assert report.rows_read == len(pairs)


class TestVocabulary:
    def test_order_is_first_appearance_then_the_item_file(self, write) -> None:
        ratings = write("r.csv", "user,item,rating\nb,y,3\na,x,4\nb,x,5\nzz,,1\nqq,w,bad\n")
        items = write("i.csv", "item,title\nw,W\nx,X\nv,V\n")
        dataset, report = build(ratings, items=items)
        assert dataset.user_vocabulary.ids.tolist() == ["b", "a"]
        assert dataset.item_vocabulary.ids.tolist() == ["y", "x", "w", "v"]
        assert dataset.item_features.titles is not None
        assert dataset.item_features.titles.tolist() == ["", "X", "W", "V"]
        missing = next(problem for problem in report.problems if problem.kind is ProblemKind.ITEM_NOT_IN_FILE)
        assert (list(missing.values), missing.lines.tolist(), missing.action.value) == (["y"], [2], "kept")

    def test_people_of_the_user_file_are_known_without_interactions(self, write) -> None:
        dataset, _ = build(write("r.csv", "user,item\na,x\nb,y\n"), users=write("u.csv", "user,age\nc,3\nb,4\n"))
        assert dataset.user_vocabulary.ids.tolist() == ["a", "b", "c"]
        assert dataset.user_counts.tolist() == [1, 1, 0]
        ages = dataset.user_features.columns["age"].values  # type: ignore[union-attr]
        assert np.isnan(ages[0])
        assert ages[1:].tolist() == [4, 3]

    def test_a_catalogue_alone(self, write) -> None:
        path = write("courses.csv", "course_id,title,description\nc1,One,Long\nc2,Two,Text\n")
        for request in (BuildRequest.of([path]), BuildRequest.of([], items=path)):
            dataset, report = build_dataset(request)
            assert (dataset.n_users, dataset.n_items, len(dataset)) == (0, 2, 0)
            assert dataset.feedback is Feedback.IMPLICIT
            assert report.rows_read == 0

    def test_one_user_and_one_item(self, write) -> None:
        dataset, _ = build(write("r.csv", "user,item,rating\na,x,3\n"))
        assert (dataset.n_users, dataset.n_items, len(dataset)) == (1, 1, 1)

    def test_several_files_are_one(self, write) -> None:
        first = write("a.csv", "user,item,rating\na,x,3\nb,x,4\n")
        second = write("b.tsv", "rating\tuser\titem\n5\ta\tx\n1\tc\t\n2\tc\ty\n")
        dataset, report = build(first, second)
        assert dataset.user_vocabulary.ids.tolist() == ["a", "b", "c"]
        assert dataset.ratings is not None
        assert dataset.ratings.tolist() == [4, 5, 2]
        places = {(problem.file, problem.kind.value): problem.lines.tolist() for problem in report.problems}
        assert places == {("b.tsv", "missing item"): [3], ("a.csv", "repeated user-item pair"): [2]}


class TestRepeats:
    def test_the_latest_rating_stays(self, write) -> None:
        path = write(
            "r.csv",
            "user,item,rating,timestamp\na,x,1,1000000300\na,y,2,1000000100\na,x,3,1000000200\nb,x,4,1000000100\n",
        )
        dataset, report = build(path)
        assert dataset.ratings is not None
        assert dataset.ratings.tolist() == [1, 2, 4]
        assert problems(report) == {"repeated user-item pair": [4]}
        assert report.problems[0].values[0] == "a, x"
        assert report.problems[0].action.value == "merged"

    def test_the_last_in_the_file_stays_among_ties_and_without_times(self, write) -> None:
        tied = "user,item,rating,timestamp\na,x,1,1000000000\na,x,2,1000000000\nb,x,5,1000000000\n"
        timeless = "user,item,rating\na,x,1\na,x,2\nb,x,5\n"
        for text in (tied, timeless):
            dataset, report = build(write("r.csv", text))
            assert dataset.ratings is not None
            assert dataset.ratings.tolist() == [2, 5]
            assert problems(report) == {"repeated user-item pair": [2]}

    def test_repeated_events_are_summed(self, write) -> None:
        path = write(
            "e.csv",
            "user,item,event,timestamp\na,x,view,1000000001\na,x,Purchase,1000000002\na,x,view,1000000003\n"
            "b,x,view,1000000001\nb,y,sneeze,1000000001\n",
        )
        dataset, report = build(path)
        assert dataset.weights is not None
        assert dataset.weights.tolist() == [7, 1, 1]
        assert dataset.timestamps is not None
        assert dataset.timestamps.tolist() == [1000000003, 1000000001, 1000000001]
        assert dataset.events is not None
        assert [dataset.event_names[code] for code in dataset.events] == ["Purchase", "view", "sneeze"]
        assert dataset.feedback is Feedback.IMPLICIT
        assert any("view=1, Purchase=5, sneeze=1" in note for note in report.notes)
        assert "Purchase=5" in dataset.provenance["events"]

    def test_repeated_plain_pairs_count(self, write) -> None:
        dataset, _ = build(write("r.csv", "user,item\na,x\na,x\na,y\nb,x\n"))
        assert dataset.weights is not None
        assert dataset.weights.tolist() == [2, 1, 1]

    def test_strengths_can_be_set(self, write) -> None:
        path = write("e.csv", "user,item,event\na,x,view\na,y,enrolled\nb,x,other\nb,y,view\n")
        cleaning = CleaningOptions(event_strengths=("View=2", "enrolled=8"), unknown_event_strength=0.5)
        dataset, _ = build(path, cleaning=cleaning)
        assert dataset.weights is not None
        assert dataset.weights.tolist() == [2, 8, 0.5, 2]

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(0, 3)),
            min_size=1,
            max_size=60,
        ),
        st.integers(1, 4),
    )
    def test_repeats_equal_a_naive_loop(self, tmp_path_factory, rows, block) -> None:
        path = tmp_path_factory.mktemp("repeats") / "r.csv"
        lines = [f"u{u},i{i},{r},{10**9 + t}" for u, i, r, t in rows]
        path.write_text("\n".join(["user,item,rating,timestamp", *lines]))
        expected: dict[tuple[int, int], tuple[int, int]] = {}
        for position, (user, item, _, time) in enumerate(rows):
            best = expected.get((user, item))
            if best is None or time >= best[0]:
                expected[user, item] = (time, position)
        stay = sorted(position for _, position in expected.values())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recsys_desktop.data.cleaning.user_blocks.__defaults__", (block,))
            dataset, report = build(path)
        found = [
            (dataset.user_vocabulary[user], dataset.item_vocabulary[item], float(rating))
            for user, item, rating in zip(dataset.users, dataset.items, dataset.ratings, strict=True)  # type: ignore[arg-type]
        ]
        assert found == [(f"u{rows[p][0]}", f"i{rows[p][1]}", float(rows[p][2])) for p in stay]
        gone = sorted(line for problem in report.problems for line in problem.lines.tolist())
        assert gone == [position + 2 for position in range(len(rows)) if position not in stay]


class TestRatings:
    def test_not_a_number_and_infinity(self, write) -> None:
        rows = ["a,x,nan", "b,x,inf", "c,x,-inf", "d,x,", "e,x,4", "f,x,five", "g,x,3.5", "h,x,NA", "i,x,2", "j,x,1"]
        dataset, report = build(write("r.csv", "user,item,rating\n" + "\n".join(rows)))
        assert dataset.user_vocabulary.ids.tolist() == ["e", "g", "i", "j"]
        assert problems(report) == {
            "missing rating": [5, 9],
            "unparsable rating": [7],
            "rating is not finite": [2, 3, 4],
        }
        assert report.rows_left_out == 6

    def test_a_declared_range(self, write) -> None:
        path = write("r.csv", "user,item,rating\na,x,0\nb,x,3\nc,x,6\nd,x,5\n")
        dataset, report = build(path, cleaning=CleaningOptions(rating_minimum=1, rating_maximum=5))
        assert problems(report) == {"rating out of range": [2, 4]}
        assert list(report.problems[0].values) == ["0", "6"]
        assert dataset.rating_scale == RatingScale(1, 5, 1)
        assert any(check.text == "ratings outside 1 to 5, left out" and check.count == 2 for check in report.checks)

    def test_a_rare_mistake_is_found_and_said(self, write) -> None:
        rows = "".join(f"u{n},i{n % 7},{n % 5 + 1}\n" for n in range(60))
        dataset, report = build(write("r.csv", "user,item,rating\n" + rows + "u3,i9,55\nu4,i9,-1\n"))
        assert problems(report) == {"rating out of range": [62, 63]}
        assert dataset.rating_scale == RatingScale(1, 5, 1)
        assert any("Ratings outside 0 to 5 were taken for mistakes" in note for note in report.notes)

    @pytest.mark.parametrize(("lone", "count"), [(8, 50), (9, 60), (7, 50)])
    def test_a_lone_rating_far_from_a_compact_scale_is_a_mistake(self, write, lone, count) -> None:
        rows = "".join(f"u{n},i{n % 7},{n % 5 + 1}\n" for n in range(count - 1))
        dataset, report = build(write("r.csv", f"user,item,rating\n{rows}last,i9,{lone}\n"))
        assert problems(report) == {"rating out of range": [count + 1]}
        assert report.problems[0].message == "1 rating is out of range: outside 0 to 5"
        assert dataset.rating_scale == RatingScale(1, 5, 1)
        said = [check for check in report.checks if "rating" in check.text]
        assert [(check.state, check.text, check.count) for check in said] == [
            ("warning", "ratings outside 0 to 5, left out", 1)
        ]

    @pytest.mark.parametrize(
        ("high", "count"),
        [((6,), 50), ((8, 8), 100), ((8,), 40), ((6, 7, 8), 60)],
        ids=["a neighbour", "twice", "too few rows", "no gap"],
    )
    def test_ratings_that_may_belong_to_a_wider_scale_stay(self, write, high, count) -> None:
        rows = "".join(f"u{n},i{n % 7},{n % 5 + 1}\n" for n in range(count - len(high)))
        more = "".join(f"v{n},i9,{rating}\n" for n, rating in enumerate(high))
        dataset, report = build(write("r.csv", f"user,item,rating\n{rows}{more}"))
        assert problems(report) == {}
        assert dataset.rating_scale == RatingScale(1, max(high), 1)

    def test_the_range_of_mistakes_is_the_same_in_every_sentence(self, write) -> None:
        rows = "".join(f"u{n},i{n % 7},{n % 3 + 2}\n" for n in range(300))
        _, report = build(write("r.csv", "user,item,rating\n" + rows + "x,i1,1e30\n"))
        assert report.problems[0].message.endswith("outside 0 to 5")
        assert any(note.startswith("Ratings outside 0 to 5 ") for note in report.notes)
        assert [check.text for check in report.checks if "rating" in check.text] == ["ratings outside 0 to 5, left out"]

    def test_one_end_of_the_range_is_declared(self, write) -> None:
        path = write("r.csv", "user,item,rating\na,x,0\nb,x,3\nc,x,6\nd,x,5\n")
        for cleaning, words in (
            (CleaningOptions(rating_minimum=1), "ratings below 1, left out"),
            (CleaningOptions(rating_maximum=5), "ratings above 5, left out"),
        ):
            _, report = build(path, cleaning=cleaning)
            assert (words, 1) in [(check.text, check.count) for check in report.checks]

    @pytest.mark.parametrize(
        ("ratings", "words"),
        [
            ([0, 0, 8, 10], "2 of 4 ratings are 0, which usually means 'not rated'"),
            ([0, 1, 3, 5], "1 of 4 ratings is 0, which usually means 'not rated'"),
            ([0, 1, 1, 1], "1 of 4 ratings is 0, which usually means 'not chosen'"),
        ],
    )
    def test_zeros_are_pointed_out(self, write, ratings, words) -> None:
        path = write("r.csv", "user,item,rating\n" + "".join(f"u{n},x,{r}\n" for n, r in enumerate(ratings)))
        _, report = build(path)
        note = next(note for note in report.notes if note.startswith(words))
        assert "rank" in note and "rating_minimum" in note
        _, report = build(path, cleaning=CleaningOptions(rating_minimum=1))
        assert not any("usually means" in note for note in report.notes)

    def test_wide_scales_are_left_alone(self, write) -> None:
        rows = "".join(f"u{n},i{n % 7},{n * 37 % 900}\n" for n in range(60))
        dataset, report = build(write("r.csv", "user,item,rating\n" + rows))
        assert len(dataset) == 60
        assert problems(report) == {}

    @pytest.mark.parametrize(
        ("ratings", "scale"),
        [
            ([1, 2.5, 5], RatingScale(1, 5, 0.5)),
            ([0.5, 3, 5], RatingScale(0.5, 5, 0.5)),
            ([1, 2, 3, 4, 5], RatingScale(1, 5, 1)),
            ([2, 3, 5], RatingScale(1, 5, 1)),
            ([3, 10, 7], RatingScale(1, 10, 1)),
            ([0, 10, 7], RatingScale(0, 10, 1)),
            ([0, 1], RatingScale(0, 1, 1)),
            ([1, 2, 3], RatingScale(1, 3, 1)),
            ([-9.97, 3.14, 8.2], RatingScale(pytest.approx(-9.97, abs=1e-5), pytest.approx(8.2), 0.0)),
        ],
    )
    def test_scales(self, write, ratings, scale) -> None:
        rows = "".join(f"u{place},x,{rating}\n" for place, rating in enumerate(ratings))
        assert build(write("r.csv", "user,item,rating\n" + rows))[0].rating_scale == scale

    def test_a_constant_rating_is_implicit_feedback(self, write) -> None:
        dataset, report = build(write("r.csv", "user,item,rating\na,x,1\nb,x,1\nb,y,1\n"))
        assert dataset.feedback is Feedback.IMPLICIT
        assert dataset.ratings is not None
        assert any("read as implicit feedback" in note for note in report.notes)

    def test_decimal_commas(self, write) -> None:
        dataset, _ = build(write("r.csv", "user;item;rating\na;x;3,5\nb;x;4,0\n"))
        assert dataset.ratings is not None
        assert dataset.ratings.tolist() == [3.5, 4.0]

    def test_ratings_and_events_together(self, write) -> None:
        both = "user,item,event,rating\na,x,rate,4\na,y,rate,3\nb,x,rate,5\nb,y,view,\n"
        dataset, report = build(write("r.csv", both))
        assert dataset.ratings is not None
        assert (len(dataset), problems(report)) == (3, {"missing rating": [5]})
        mostly = "user,item,event,rating\na,x,rate,4\na,y,view,\nb,x,view,\nb,y,view,\n"
        dataset, report = build(write("m.csv", mostly))
        assert (dataset.ratings, len(dataset), problems(report)) == (None, 4, {})
        dataset, _ = build(write("m.csv", mostly), cleaning=CleaningOptions(feedback="explicit"))
        assert len(dataset) == 1
        dataset, _ = build(write("r.csv", both), cleaning=CleaningOptions(feedback="implicit"))
        assert (dataset.ratings, len(dataset)) == (None, 4)

    def test_weights_must_be_positive(self, write) -> None:
        path = write(
            "w.csv", "user,item,minutes\na,x,10\na,y,0\nb,x,-3\nb,y,oops\nc,x,\nc,y,2.5\nd,x,inf\nd,y,1e39\nd,z,1e-60\n"
        )
        dataset, report = build(path)
        assert dataset.weights is not None
        assert dataset.weights.tolist() == [10, 2.5]
        assert problems(report) == {"weight is not a positive number": [3, 4, 5, 6, 8, 9, 10]}


class TestTimes:
    def test_bad_times_are_reported(self, write) -> None:
        rows = "".join(f"u{n},x,3,{10**9 + n}\n" for n in range(20))
        dataset, report = build(write("r.csv", "user,item,rating,timestamp\n" + rows + "u77,x,3,soon\nu78,x,4,\n"))
        assert len(dataset) == 20
        assert problems(report) == {"unparsable time": [22, 23]}

    def test_day_and_month_are_told_apart_by_a_later_row(self, write) -> None:
        rows = "".join(f"u{n},x,3,0{n % 9 + 1}/0{n % 7 + 1}/2020\n" for n in range(2500))
        path = write("r.csv", "user,item,rating,date\n" + rows + "late,x,4,03/14/2020\n")
        dataset, report = build(path)
        assert dataset.timestamps is not None
        assert problems(report) == {}
        assert dataset.timestamps[-1] == 1584144000
        assert dataset.timestamps[1] == 1580601600

    def test_a_bad_time_does_not_change_the_order_of_day_and_month(self, write) -> None:
        rows = "".join(f"u{n},x,3,0{n % 9 + 1}/0{n % 7 + 1}/2020\n" for n in range(2500))
        path = write("r.csv", "user,item,rating,date\n" + rows + "bad,x,4,soon\nlate,x,4,14/03/2020\n")
        dataset, report = build(path)
        assert problems(report) == {"unparsable time": [2502]}
        assert dataset.timestamps is not None
        assert (dataset.timestamps[7], dataset.timestamps[-1]) == (1578441600, 1584144000)

    def test_days_and_months_that_stay_unclear_are_noted(self, write) -> None:
        _, report = build(write("r.csv", "user,item,date\na,x,03/04/2020\nb,x,05/06/2020\n"))
        assert any("do not tell day and month apart" in note for note in report.notes)

    def test_ties_are_counted(self, write) -> None:
        path = write("r.csv", "user,item,timestamp\na,x,1000000000\na,y,1000000000\na,z,1000000001\nb,x,1000000000\n")
        _, report = build(path)
        tie = next(check for check in report.checks if "tied" in check.text)
        assert (tie.state, tie.count) == ("warning", 2)
        assert "50%" in tie.text

    def test_times_that_only_one_file_has_are_not_used(self, write) -> None:
        dataset, report = build(
            write("a.csv", "user,item,timestamp\na,x,1000000000\nb,x,1000000001\n"), write("b.csv", "user,item\nc,x\n")
        )
        assert dataset.timestamps is None
        assert any("'timestamp' is not used: b.csv" in note for note in report.notes)


class TestOptionalCleaning:
    def test_k_core(self, write) -> None:
        rows = ["a,x", "a,y", "b,x", "b,y", "c,x", "c,z", "d,w"]
        path = write("r.csv", "user,item\n" + "\n".join(rows))
        cleaning = CleaningOptions(minimum_user_interactions=2, minimum_item_interactions=2)
        items = write("i.csv", "item,title\nx,X\nw,W\ny,Y\n")
        dataset, report = build(path, cleaning=cleaning, items=items)
        assert dataset.user_vocabulary.ids.tolist() == ["a", "b"]
        assert dataset.item_vocabulary.ids.tolist() == ["x", "y"]
        assert problems(report)["too few interactions"] == [6, 7, 8]
        assert json.loads(dataset.provenance["cleaning"])["minimum_user_interactions"] == 2

    def test_category_names_are_merged_on_request(self, write) -> None:
        items = write(
            "i.csv",
            "item,title,category,tags\n1,A,Data  Science,sql|SQL\n2,B,data science,SQL\n"
            "3,C,Data Science,x\n4,D,Data Science,\n",
        )
        plain, _ = build_dataset(BuildRequest.of([], items=items))
        assert len(plain.item_features.columns["category"].categories) == 3  # type: ignore[union-attr]
        merged, report = build_dataset(
            BuildRequest.of([], items=items, cleaning=CleaningOptions(standardise_categories=True))
        )
        assert merged.item_features.columns["category"].categories == ("Data Science",)  # type: ignore[union-attr]
        assert merged.item_features.describe(0)["tags"] == ["SQL"]
        values = [value for problem in report.problems for value in problem.values]
        assert "data science -> Data Science" in values
        assert "sql -> SQL" in values

    def test_roles_are_corrected_and_remembered_in_the_fingerprint(self, write) -> None:
        path = write("r.csv", "user,item,rating,weight\na,x,3,2\nb,x,4,1\n")
        first, _ = build(path)
        second, _ = build(path, roles={"rating": Role.IGNORE})
        assert first.ratings is not None
        assert second.ratings is None
        assert first.fingerprint != second.fingerprint
        assert first.provenance["roles of interactions"] == "user=user, item=item, rating=rating, weight=weight"


class TestSideTables:
    def test_tags_of_several_rows_and_separators(self, write) -> None:
        items = write(
            "i.csv",
            'id;title;topics\n1;A;"art; music"\n2;B;music\n3;C;(no genres listed)\n4;D;art;\n'.replace(
                "art;\n", "art\n"
            ),
        )
        dataset, _ = build_dataset(BuildRequest.of([], items=items, roles={"topics": "tags"}))
        assert [dataset.item_features.columns["topics"].row(row) for row in range(4)] == [  # type: ignore[union-attr]
            ["art", "music"],
            ["music"],
            [],
            ["art"],
        ]

    def test_repeated_rows_and_rows_without_id(self, write) -> None:
        items = write("i.csv", "item,title,year\n1,A,1990\n,X,1991\n2,B,old\n1,AA,2000\n")
        dataset, report = build_dataset(BuildRequest.of([], items=items))
        assert dataset.item_features.titles is not None
        assert dataset.item_features.titles.tolist() == ["A", "B"]
        assert problems(report) == {
            "missing item": [3],
            "repeated entry in a side file": [5],
            "unparsable number": [4],
        }

    def test_the_same_column_in_two_files(self, write) -> None:
        first = write("a.csv", "item,title,level\n1,A,easy\n2,B,hard\n")
        second = write("b.csv", "item,title,level\n1,AA,5\n2,BB,6\n")
        dataset, _ = build_dataset(BuildRequest.of([], items=[first, second]))
        assert list(dataset.item_features.columns) == ["title", "level", "title (b)", "level (b)"]

    def test_units_of_names(self, write) -> None:
        items = write("i.csv", "item,title,duration_minutes,length (h),pages\n1,A,5,2,7\n2,B,6,1,8\n")
        dataset, _ = build_dataset(BuildRequest.of([], items=items))
        units = {name: getattr(column, "unit", None) for name, column in dataset.item_features.columns.items()}
        assert units == {"title": None, "duration_minutes": "min", "length (h)": "h", "pages": ""}

    def test_missing_values_stay_missing(self, write) -> None:
        items = write("i.csv", "item,title,category,year\n1,A,x,1990\n2,NULL,NULL,NULL\n3,None,x,\n4,D,y,7\n")
        dataset, _ = build_dataset(BuildRequest.of([], items=items))
        assert dataset.item_features.describe(1) == {}
        assert dataset.item_features.describe(2) == {"title": "None", "category": "x"}


class TestReport:
    def test_every_row_is_kept_or_named(self, write, tmp_path) -> None:
        path = write(
            "r.csv",
            'user,item,rating\na,x,3\n,x,3\nb,,3\nc,x,oops\nd\ne,x,\na,x,4\nf,"x\n1",2\ng,x,inf\nh,x,99\n'
            + "".join(f"p{n},q{n % 3},{n % 5 + 1}\n" for n in range(30)),
        )
        dataset, report = build(path)
        named = sorted(line for problem in report.problems for line in problem.lines.tolist())
        assert named == [2, 3, 4, 5, 6, 7, 11, 12]
        assert report.rows_read == len(dataset) + len(named) == 40
        assert report.write_csv(tmp_path / "problems.csv") == 8
        with (tmp_path / "problems.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert sorted(int(row["line"]) for row in rows) == named
        assert {
            "file": "r.csv",
            "line": "6",
            "column": "",
            "problem": "unparsable row",
            "value": "d",
            "action": "left out",
        } in rows
        json.dumps(report.to_dict())

    def test_clean_files_have_only_good_news(self, write) -> None:
        ratings = write("r.csv", "user,item,rating,timestamp\na,x,3,1000000000\nb,y,4,1000000001\n")
        _, report = build(ratings, items=write("i.csv", "item,title\nx,X\ny,Y\n"))
        assert report.problems == ()
        assert [check.state for check in report.checks] == ["ok"] * 4


class TestParts:
    def test_one_vocabulary_for_all_parts(self, write) -> None:
        train = write("train.csv", "user,item,rating\na,x,1\nb,y,5\n")
        valid = write("valid.csv", "user,item,rating\na,z,3\n")
        test = write("test.csv", "user,item,rating\nc,x,2\na,w,4\n")
        items = write("items.csv", "item,title\nv,V\nx,X\n")
        split, report = load_parts(train, test, valid, items)
        assert split.validation is not None
        assert split.train.item_vocabulary is split.test.item_vocabulary
        assert split.train.item_vocabulary.ids.tolist() == ["x", "y", "z", "w", "v"]
        assert split.train.user_vocabulary.ids.tolist() == ["a", "b", "c"]
        assert (split.train.users.tolist(), split.validation.items.tolist(), split.test.users.tolist()) == (
            [0, 1],
            [2],
            [2, 0],
        )
        assert report.rows_kept == 5

    def test_no_validation(self, write) -> None:
        split, _ = load_parts(write("a.csv", "user,item\na,x\nb,x\n"), write("b.csv", "user,item\na,y\n"))
        assert split.validation is None

    def test_each_part_is_cleaned_alone_and_overlaps_are_reported(self, write) -> None:
        train = write("train.csv", "user,item,rating\nq,w,oops\na,x,1\na,x,2\nb,y,5\n")
        test = write("test.csv", "user,item,rating\na,x,3\nb,z,4\nb,z,5\n")
        split, report = load_parts(train, test)
        assert split.train.ratings is not None
        assert split.test.ratings is not None
        assert split.train.ratings.tolist() == [2, 5]
        assert split.test.ratings.tolist() == [3, 5]
        assert list(report.problems[-1].values) == ["a, x"]
        found = {(problem.kind.value, problem.file): problem.lines.tolist() for problem in report.problems}
        assert found == {
            ("unparsable rating", "train.csv"): [2],
            ("repeated user-item pair", "train.csv"): [3],
            ("repeated user-item pair", "test.csv"): [3],
            ("pair in more than one part", "test.csv"): [2],
        }

    def test_the_scale_is_learnt_without_test(self, write) -> None:
        train = write("train.csv", "user,item,rating\na,x,2\nb,y,4\nb,x,3\n")
        test = write("test.csv", "user,item,rating\na,y,4.5\n")
        split, report = load_parts(train, test)
        assert split.test.rating_scale == RatingScale(2, 4, 1)
        assert any("test ratings outside 2 to 4" in check.text and check.count == 1 for check in report.checks)


def test_progress_runs_forward(write) -> None:
    from recsys_desktop.api import RunContext

    heard: list[float] = []

    class Listening(RunContext):
        def progress(self, fraction: float, text: str = "") -> None:
            heard.append(fraction)

    build_dataset(BuildRequest.of([write("r.csv", "user,item\na,x\nb,y\n")]), Listening())
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0.0, 1.0)
