"""Statistics against naive counting, and the warnings."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime

import numpy as np
import pytest

from recsys_desktop.api import Dataset, Vocabulary
from recsys_desktop.data import build_dataset, describe
from recsys_desktop.data.cleaning import tied_times
from recsys_desktop.data.request import BuildRequest
from recsys_desktop.resources_path import bundled_folder


def make(users, items, ratings=None, times=None, n_users=None, n_items=None) -> Dataset:
    return Dataset(
        Vocabulary([f"u{code}" for code in range(n_users or max(users) + 1)]),
        Vocabulary([f"i{code}" for code in range(n_items or max(items) + 1)]),
        np.array(users, dtype=np.int32),
        np.array(items, dtype=np.int32),
        None if ratings is None else np.array(ratings, dtype=np.float32),
        timestamps=None if times is None else np.array(times, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def films() -> Dataset:
    folder = bundled_folder("sample_data") / "movielens_small"
    return build_dataset(BuildRequest.of([folder / "ratings.csv"], items=folder / "movies.csv"))[0]


def test_movielens_equals_naive_counting(films) -> None:
    found = describe(films)
    per_user = Counter(films.users.tolist())
    per_item = Counter(films.items.tolist())
    assert (found.users, found.items, found.interactions) == (671, 9066, 100004)
    assert (found.items_in_vocabulary, found.unused_items) == (9125, 59)
    assert found.density == pytest.approx(100004 / (671 * 9066))
    assert found.per_user.median == np.median(list(per_user.values()))
    assert found.per_item.mean == pytest.approx(np.mean(list(per_item.values())))
    assert (found.per_item.maximum, found.long_tail[0]) == (341, (1, 341))
    falling = sorted(per_item.values(), reverse=True)
    assert all(falling[rank - 1] == count for rank, count in found.long_tail)
    assert found.long_tail[-1] == (9066, falling[-1])
    assert found.top_tenth_share == pytest.approx(sum(falling[:907]) / 100004)
    assert {bar.low: bar.count for bar in found.ratings} == dict(Counter(films.ratings.tolist()))
    assert found.cold_users == sum(count <= 4 for count in per_user.values())
    assert found.cold_items == sum(count <= 4 for count in per_item.values())
    years = Counter(datetime.fromtimestamp(moment, UTC).year for moment in films.timestamps.tolist())
    assert {int(bar.label): bar.count for bar in found.activity} == dict(years)
    assert found.activity_unit == "year"
    assert found.item_columns == {"title": "title", "genres": "tags"}


def test_ties_equal_naive_counting(films) -> None:
    seen = Counter(zip(films.users.tolist(), films.timestamps.tolist(), strict=True))
    naive = sum(count for count in seen.values() if count > 1)
    assert tied_times(films.users, films.timestamps) == naive
    assert describe(films).tied_times == pytest.approx(naive / len(films))


def test_ties_with_enormous_times_and_small_blocks(monkeypatch) -> None:
    monkeypatch.setattr("recsys_desktop.data.cleaning.user_blocks.__defaults__", (3,))
    users = np.array([0, 1, 0, 1, 2, 0, 9, 9], dtype=np.int32)
    times = np.array([5, 5, 5, 6, 5, 5, 2**62, -(2**62)], dtype=np.int64)
    assert tied_times(users, times) == 3


def test_gini() -> None:
    assert describe(make([0, 1, 2, 3], [0, 1, 2, 3])).gini == pytest.approx(0)
    unequal = make([0, 1, 2, 3, 0], [0, 0, 0, 0, 1])
    counts = [4, 1]
    naive = sum(abs(a - b) for a in counts for b in counts) / (2 * len(counts) * sum(counts))
    assert describe(unequal).gini == pytest.approx(naive)


@pytest.mark.parametrize(
    ("days", "unit", "bars"), [(10, "day", 10), (300, "month", 10), (3000, "year", 9), (36500, "year", 34)]
)
def test_activity_bins_fit_the_span(days, unit, bars) -> None:
    times = np.arange(days) * 86400
    found = describe(make([0] * days, list(range(days)), times=times))
    assert (found.activity_unit, len(found.activity)) == (unit, bars)
    assert sum(bar.count for bar in found.activity) == days
    assert all(bar.low < bar.high for bar in found.activity)


def test_continuous_ratings_are_binned() -> None:
    ratings = np.linspace(-10, 10, 500)
    found = describe(make([0] * 500, list(range(500)), ratings))
    assert (len(found.ratings), sum(bar.count for bar in found.ratings)) == (20, 500)


def test_nothing_at_all_and_a_catalogue() -> None:
    nobody = Dataset(Vocabulary([]), Vocabulary(["a", "b"]), np.array([], np.int32), np.array([], np.int32))
    found = describe(nobody)
    assert (found.items_in_vocabulary, found.unused_items, found.density) == (2, 2, 0.0)
    assert "no interactions" in found.warnings[0]
    json.dumps(found.to_dict())


def test_warnings() -> None:
    def warned(**details) -> str:
        return " ".join(describe(make(**details)).warnings)

    assert "With one person or one item" in warned(users=[0, 0], items=[0, 1])
    assert "100% of the people have fewer than 5" in warned(users=[0, 1], items=[0, 1])
    assert "lie in the future" in warned(users=[0, 1], items=[0, 1], times=[10**9, 10**11])
    assert "All ratings are the same" in warned(users=[0, 1], items=[0, 1], ratings=[1, 1])
    assert "of the ratings are 0" in warned(users=[0, 1, 2], items=[0, 1, 2], ratings=[0, 0, 8])
    assert "little is left to recommend" in warned(
        users=[n // 11 for n in range(121)], items=[n % 11 for n in range(121)]
    )


def test_events_are_counted(tmp_path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("user,item,event\na,x,view\nb,x,buy\nb,y,view\n")
    dataset, _ = build_dataset(BuildRequest.of([path]))
    assert describe(dataset).events == {"view": 2, "buy": 1}
    grouped = defaultdict(int)
    for code in dataset.events:  # type: ignore[union-attr]
        grouped[dataset.event_names[code]] += 1
    assert describe(dataset).events == dict(grouped)
