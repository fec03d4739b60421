"""Times in all the forms that files have."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.data.timestamps import guess_time_format, looks_like_times, seconds

MOMENTS = [datetime(2015, 3, 14, 9, 26, 53, tzinfo=UTC), datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)]
DAYS = [moment.replace(hour=0, minute=0, second=0) for moment in MOMENTS]


def read(values: list[str]) -> list[int | None]:
    found = guess_time_format(values)
    assert found is not None
    moments, bad = seconds(pa.array(values), found)
    return [None if wrong else moment for moment, wrong in zip(moments.tolist(), bad.tolist(), strict=True)]


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_unix_times_of_every_unit(factor) -> None:
    values = [str(int(moment.timestamp()) * factor) for moment in MOMENTS]
    assert read(values) == [int(moment.timestamp()) for moment in MOMENTS]


@pytest.mark.parametrize(
    "pattern",
    [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.123Z",
        "%Y-%m-%d %H:%M:%S.5",
        "%d/%m/%Y %H:%M:%S",
        "%m/%d/%Y %I:%M:%S %p",
        "%d.%m.%Y %H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%a %b %d %H:%M:%S +0000 %Y",
        "%d %B %Y %H:%M:%S",
    ],
)
def test_written_moments(pattern) -> None:
    assert read([moment.strftime(pattern) for moment in MOMENTS]) == [int(moment.timestamp()) for moment in MOMENTS]


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d-%b-%Y", "%B %d, %Y", "%d.%m.%Y", "%m/%d/%y", "%d %b %Y"])
def test_written_days(pattern) -> None:
    assert read([moment.strftime(pattern) for moment in DAYS]) == [int(moment.timestamp()) for moment in DAYS]


def test_a_zone_is_heeded_and_forms_may_mix() -> None:
    values = ["2020-01-01T10:00:00+02:00", "2020-01-01 08:00:00", "2020-01-01T08:00:00Z", "2020-01-01"]
    assert read(values) == [1577865600, 1577865600, 1577865600, 1577836800]


def test_what_is_no_time_is_marked() -> None:
    values = ["964982703", "964982704"] * 100 + ["yesterday", "", "NA"]
    assert read(values)[-3:] == [None, None, None]
    assert read(values)[:2] == [964982703, 964982704]


def test_days_and_months_that_cannot_be_told_apart_say_so() -> None:
    found = guess_time_format(["03/04/2020", "05/06/2020"])
    assert found is not None
    assert found.ambiguous
    assert found.swapped is not None
    assert found.swapped.words == "month/day/year"
    certain = guess_time_format(["03/14/2020", "05/06/2020"])
    assert certain is not None
    assert (certain.ambiguous, certain.words) == (False, "month/day/year")


def test_ratings_do_not_look_like_times() -> None:
    assert looks_like_times(["1", "5", "3"]) is None
    assert looks_like_times(["31", "1029", "1061"]) is None
    assert looks_like_times(["964982703", "1494996671"]) is not None


@given(st.lists(st.integers(-(10**9), 10**10), min_size=1, max_size=50))
def test_seconds_survive(moments) -> None:
    found = guess_time_format(["1000000000"])
    assert found is not None
    read_back, bad = seconds(pa.array([str(moment) for moment in moments]), found)
    assert read_back.tolist() == moments
    assert not bad.any()


def test_typed_columns() -> None:
    found = guess_time_format(["1000000000000"])
    assert found is not None
    assert found.unit == "ms"
    stamps = pa.array([1426325213123, None], pa.timestamp("ms"))
    moments, bad = seconds(stamps, found)
    assert (moments[0], bad.tolist()) == (1426325213, [False, True])
    moments, bad = seconds(pa.array([1426325213123.0, float("nan")]), found)
    assert (moments[0], bad.tolist()) == (1426325213, [False, True])
    assert seconds(pa.array([1426325213123]), found)[0].tolist() == [1426325213]
