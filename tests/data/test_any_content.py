"""Whatever a file holds, an import gives a Dataset with every row accounted for, or an error meant to be read."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_desktop.api import RecSysError
from recsys_desktop.data import CleaningOptions, ReadOptions, build_dataset, inspect_files
from recsys_desktop.data.report import Action
from recsys_desktop.data.request import BuildRequest

CELLS = st.one_of(
    st.sampled_from(["", "1", "2.5", "3,5", "nan", "1e400", "-1", "NULL", "u1", "2020-01-01", "1260759144", '"', "é"]),
    st.text(st.sampled_from('ab1,;"\n\r\t| é\x00\\:.'), max_size=8),
)
HEADERS = st.sampled_from(
    [
        "user,item,rating",
        "user;item;rating;timestamp",
        "user\titem\tevent",
        "userId,movieId,rating,timestamp",
        "a,b",
        "",
    ]
)
NAMES = st.sampled_from(["f.csv", "f.tsv", "f.dat", "f.data", "f.item", "f.inter", "f.tab", "f.json", "f.jsonl", "f"])


@st.composite
def tables(draw) -> bytes:
    header = draw(HEADERS)
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", "::"]))
    rows = draw(st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=8))
    text = draw(st.sampled_from(["\n", "\r\n"])).join([header, *(delimiter.join(row) for row in rows)])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-16", "latin-1"])))


USERS = st.sampled_from(["u1", "u2", "007", " u1", "u3", "", "é"])
ITEMS = st.sampled_from(["i1", "i2", "a,b", 'the "x"', "two\nlines", "", "i1 "])
RATINGS = st.sampled_from(["1", "2.5", "4", "5", "3", "4", "2", "x", "", "nan", "inf", "1e400", "1e39", "77"])
TIMES = st.sampled_from(["1260759144", "1260759145", "1260759144", "835355493", "soon", ""])
JUNK = st.lists(st.text(st.sampled_from('ab1,"\n é'), max_size=5), min_size=1, max_size=6)


@st.composite
def plausible_tables(draw) -> bytes:
    """Ratings as people have them: mostly in order, with some of everything that can be wrong."""
    rows = draw(st.lists(st.one_of(*[st.tuples(USERS, ITEMS, RATINGS, TIMES)] * 9, JUNK), min_size=1, max_size=25))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=draw(st.sampled_from(["\n", "\r\n", "\n\n"])))
    writer.writerows([("user", "item", "rating", "timestamp"), *rows])
    return out.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, content=st.one_of(st.binary(max_size=200), tables()))
def test_no_content_is_a_surprise(folder, name, content) -> None:
    import_and_check(folder / name, content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=plausible_tables())
def test_every_row_of_a_table_is_accounted_for(folder, content) -> None:
    import_and_check(folder / "ratings.csv", content)


def import_and_check(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        (inspection,) = inspect_files([path])
        assert len(inspection.preview) <= inspection.rows
        dataset, report = build_dataset(BuildRequest.of([path]))
    except RecSysError as error:
        assert len(str(error)) > 10
        return
    of_rows = [
        problem for problem in report.problems if problem.action is not Action.KEPT and problem.file == path.name
    ]
    if len(dataset):
        assert report.rows_read == len(dataset) + sum(problem.count for problem in of_rows)
    assert "" not in dataset.user_vocabulary
    assert "" not in dataset.item_vocabulary
    assert len(set(zip(dataset.users.tolist(), dataset.items.tolist(), strict=True))) == len(dataset)


def naive_import(text: str) -> tuple[list[tuple[str, str, float, int]], dict[str, list[int]]]:
    """Kept rows and the lines of every problem, one row at a time with the standard library."""
    kept: dict[tuple[str, str], tuple[int, int, float, int]] = {}
    problems: dict[str, list[int]] = {}
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    before, position = reader.line_num, 0
    for row in reader:
        line, before = before + 1, reader.line_num
        if not row:
            continue
        found = problem_of(row)
        if found is not None:
            problems.setdefault(found, []).append(line)
            continue
        user, item, rating, time = row[0].strip(), row[1].strip(), float(row[2]), int(row[3])
        earlier = kept.get((user, item))
        if earlier is not None:
            problems.setdefault("repeated user-item pair", []).append(line if time < earlier[0] else earlier[3])
        if earlier is None or time >= earlier[0]:
            kept[user, item] = (time, position, rating, line)
        position += 1
    rows = sorted((place, user, item, rating, time) for (user, item), (time, place, rating, _) in kept.items())
    return [row[1:] for row in rows], {kind: sorted(lines) for kind, lines in problems.items()}


def problem_of(row: list[str]) -> str | None:
    """The first thing that is wrong with a row, or None."""
    if len(row) != 4:
        return "unparsable row"
    if not row[0].strip():
        return "missing user"
    if not row[1].strip():
        return "missing item"
    if not row[2].strip():
        return "missing rating"
    try:
        rating = float(row[2])
    except ValueError:
        return "unparsable rating"
    if not math.isfinite(rating):
        return "rating is not finite"
    if not 0.5 <= rating <= 5:
        return "rating out of range"
    return None if row[3].strip().isdigit() else "unparsable time"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.one_of(*[st.tuples(USERS, ITEMS, RATINGS, TIMES)] * 9, JUNK), min_size=1, max_size=25))
def test_an_import_equals_a_naive_loop(folder, rows) -> None:
    out = io.StringIO()
    good = [(f"g{number}", "i1", "3", "1260759144") for number in range(60)]
    csv.writer(out, lineterminator="\n").writerows([("user", "item", "rating", "timestamp"), *good, *rows])
    path = folder / "oracle.csv"
    path.write_bytes(out.getvalue().encode())
    options = ReadOptions(delimiter=",", header=True, quoting=True, encoding="utf-8")
    cleaning = CleaningOptions(rating_minimum=0.5, rating_maximum=5)
    dataset, report = build_dataset(BuildRequest.of([path], options=options, cleaning=cleaning))
    expected, problems = naive_import(out.getvalue())
    assert dataset.ratings is not None
    assert dataset.timestamps is not None
    found = [
        (dataset.user_vocabulary[user], dataset.item_vocabulary[item], float(rating), int(time))
        for user, item, rating, time in zip(
            dataset.users, dataset.items, dataset.ratings, dataset.timestamps, strict=True
        )
    ]
    assert found == expected
    assert {problem.kind.value: sorted(problem.lines.tolist()) for problem in report.problems} == problems
