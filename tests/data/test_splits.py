"""Splits: disjoint, complete, with the shares that were asked for, and honest about leakage."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_desktop.api import Dataset, InvalidData, InvalidParameter, Split, Vocabulary
from recsys_desktop.data import describe_split
from recsys_desktop.data.splits import SPLITTERS

BY_ID = {spec.id: spec for spec in SPLITTERS}


def dataset(pairs, times=None) -> Dataset:
    users = [user for user, _ in pairs]
    items = [item for _, item in pairs]
    return Dataset(
        Vocabulary([f"u{code}" for code in range(max(users, default=0) + 1)]),
        Vocabulary([f"i{code}" for code in range(max(items, default=0) + 1)]),
        np.array(users, dtype=np.int32),
        np.array(items, dtype=np.int32),
        ratings=np.arange(len(pairs), dtype=np.float32),
        timestamps=None if times is None else np.array(times, dtype=np.int64),
    )


def make(n_users: int = 40, n_items: int = 30, n: int = 600, seed: int = 0, ties: int = 50) -> Dataset:
    generator = np.random.default_rng(seed)
    pairs = list(
        dict.fromkeys(
            zip(generator.integers(0, n_users, n).tolist(), generator.integers(0, n_items, n).tolist(), strict=True)
        )
    )
    return dataset(pairs, generator.integers(0, ties, len(pairs)))


def split(identifier: str, data: Dataset, seed: int = 1, **values) -> Split:
    spec = BY_ID[identifier]
    return spec.split(data, spec.params.parse(values), seed)


def rows(part: Dataset | None) -> list[int]:
    """The rows of the whole that a part holds; the rating of a row is its number."""
    return [] if part is None or part.ratings is None else part.ratings.astype(int).tolist()


def parts(found: Split) -> list[list[int]]:
    return [rows(part) for part in (found.train, found.validation, found.test, found.history)]


SETTINGS = [
    ("random", {"test_share": 0.2, "validation_share": 0.1}),
    ("random", {}),
    ("per-user", {"test_share": 0.2, "validation_share": 0.1}),
    ("per-user", {"latest": "yes"}),
    ("leave-last-out", {}),
    ("leave-last-out", {"test_interactions": 2, "validation_interactions": 3}),
    ("global-time", {"validation_share": 0.1}),
    ("global-time", {}),
    ("k-fold", {"fold": 3, "validation_share": 0.2}),
    ("k-fold", {"by": "user", "validation_share": 0.2}),
    ("strong-generalisation", {}),
    ("strong-generalisation", {"history_share": 0, "test_share": 0.3}),
]


@pytest.mark.parametrize(("identifier", "values"), SETTINGS)
@pytest.mark.parametrize("seed", [1, 2])
def test_parts_are_disjoint_complete_and_in_file_order(identifier, values, seed) -> None:
    data = make(seed=seed)
    found = split(identifier, data, seed, **values)
    assert sorted(row for part in parts(found) for row in part) == list(range(len(data)))
    assert all(part == sorted(part) for part in parts(found))
    assert len(found.test)
    assert len(found.train)
    assert found.train.item_vocabulary is found.test.item_vocabulary is data.item_vocabulary
    assert (found.validation is not None) == any(name.startswith("validation") for name in values)


@pytest.mark.parametrize(("identifier", "values"), SETTINGS)
def test_a_seed_decides(identifier, values) -> None:
    data = make()
    assert parts(split(identifier, data, 7, **values)) == parts(split(identifier, data, 7, **values))
    by_chance = identifier in ("random", "k-fold", "strong-generalisation") or (identifier, values) == SETTINGS[2]
    assert (parts(split(identifier, data, 7, **values)) != parts(split(identifier, data, 8, **values))) == by_chance


def test_random_shares() -> None:
    found = split("random", make(), test_share=0.25, validation_share=0.1)
    total = sum(map(len, parts(found)))
    assert len(found.test) == round(0.25 * total)
    assert len(rows(found.validation)) == round(0.1 * total)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.2, 0.5]))
def test_per_user_shares_hold_for_every_person(seed, share) -> None:
    data = make(n_users=15, n=120, seed=seed)
    found = split("per-user", data, seed, test_share=share)
    counts, tested = data.user_counts, found.test.user_counts
    for count, held in zip(counts, tested, strict=True):
        assert held == (0 if count < 2 else min(max(1, int(count * share + 0.5)), count - 1))


def test_per_user_latest_is_never_earlier_than_train() -> None:
    data = make(ties=10**6)
    found = split("per-user", data, latest="true")
    assert found.train.timestamps is not None
    assert found.test.timestamps is not None
    for user in range(data.n_users):
        train = found.train.timestamps[found.train.users == user]
        test = found.test.timestamps[found.test.users == user]
        assert not len(test) or train.max() <= test.min()


class TestLeaveLastOut:
    def test_equals_a_naive_loop(self) -> None:
        data = make()
        assert data.timestamps is not None
        histories: dict[int, list[int]] = {}
        for row in sorted(range(len(data)), key=lambda row: (data.timestamps[row], row)):  # type: ignore[index]
            histories.setdefault(int(data.users[row]), []).append(row)
        found = split("leave-last-out", data, test_interactions=1, validation_interactions=2, minimum_train=2)
        enough = [history for history in histories.values() if len(history) >= 5]
        assert rows(found.test) == sorted(history[-1] for history in enough)
        assert rows(found.validation) == sorted(row for history in enough for row in history[-3:-1])

    def test_ties_keep_file_order(self) -> None:
        data = dataset([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)], [5, 5, 5, 9, 9])
        assert rows(split("leave-last-out", data).test) == [2, 4]

    def test_without_times_the_file_order_counts(self) -> None:
        assert rows(split("leave-last-out", dataset([(0, 0), (1, 1), (0, 2), (1, 0)])).test) == [2, 3]

    def test_nobody_has_enough(self) -> None:
        with pytest.raises(InvalidData, match="nobody has 2 interactions"):
            split("leave-last-out", dataset([(0, 0), (1, 1)]))


class TestGlobalTime:
    def test_everything_in_test_is_later(self) -> None:
        found = split("global-time", make(), test_share=0.3, validation_share=0.2)
        assert found.validation is not None
        times = [part.timestamps for part in (found.train, found.validation, found.test)]
        assert times[0].max() < times[1].min()  # type: ignore[union-attr]
        assert times[1].max() < times[2].min()  # type: ignore[union-attr]
        assert len(found.test) / len(make()) == pytest.approx(0.3, abs=0.03)

    def test_a_second_is_never_divided(self) -> None:
        data = dataset([(0, n) for n in range(10)], [1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
        assert rows(split("global-time", data, test_share=0.5).test) == [9]

    def test_needs_times(self) -> None:
        with pytest.raises(InvalidData, match="has no times"):
            split("global-time", dataset([(0, 0), (1, 1)]))
        with pytest.raises(InvalidData, match="same time"):
            split("global-time", dataset([(0, 0), (1, 1)], [4, 4]))


class TestFolds:
    @pytest.mark.parametrize("by", ["rating", "user"])
    def test_folds_cover_everything_once(self, by) -> None:
        data = make()
        tests = [rows(split("k-fold", data, 3, folds=4, fold=fold, by=by).test) for fold in (1, 2, 3, 4)]
        assert sorted(row for test in tests for row in test) == list(range(len(data)))
        if by == "user":
            owners = [set(data.users[test].tolist()) for test in tests]
            assert sum(map(len, owners)) == len(set.union(*owners)) == data.n_users
        else:
            assert max(map(len, tests)) - min(map(len, tests)) <= 1

    def test_wrong_numbers(self) -> None:
        with pytest.raises(InvalidParameter, match="6 of 5 folds"):
            split("k-fold", make(), fold=6)
        with pytest.raises(InvalidData, match="5 are needed"):
            split("k-fold", dataset([(0, 0), (1, 1)]))


class TestStrongGeneralisation:
    def test_test_users_are_unknown_to_train_and_have_a_history(self) -> None:
        data = make()
        found = split("strong-generalisation", data, test_share=0.25, history_share=0.6)
        assert found.history is not None
        held = set(found.test.users.tolist())
        assert not held & set(found.train.users.tolist())
        assert set(found.history.users.tolist()) <= held
        assert len(held) == round(0.25 * data.n_users)
        assert len(found.history) / (len(found.history) + len(found.test)) == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("identifier", ["random", "per-user", "global-time"])
def test_shares_that_leave_nothing(identifier) -> None:
    with pytest.raises(InvalidParameter, match="leaves nothing for training"):
        split(identifier, make(), test_share=0.6, validation_share=0.4)


@pytest.mark.parametrize("identifier", ["random", "k-fold", "strong-generalisation"])
def test_too_little_data_is_said(identifier) -> None:
    with pytest.raises(InvalidData):
        split(identifier, dataset([(0, 0)]))


class TestDescription:
    def test_the_future_in_train(self) -> None:
        data = dataset([(0, 0), (0, 1), (1, 0), (1, 1)], [1, 2, 3, 4])
        found = Split(data.subset(np.array([1, 2])), None, data.subset(np.array([0, 3])))
        text = " ".join(describe_split(found))
        assert "For 50% of the test users, train holds interactions later" in text

    def test_ties_new_people_new_items_and_shared_pairs(self) -> None:
        data = dataset([(0, 0), (0, 1), (1, 0), (2, 2), (0, 0)], [1, 1, 3, 4, 9])
        found = Split(data.subset(np.array([0, 2])), None, data.subset(np.array([1, 3, 4])))
        text = " ".join(describe_split(found))
        assert "1 user-item pair is in train and in test" in text
        assert "1 of 2 test users is not in train" in text
        assert "66.7% of the test interactions are with items that are not in train" in text
        assert "For 100% of the test users, train and test meet in the same second" in text

    def test_a_global_time_split_is_clean(self) -> None:
        pairs = [(user, item) for item in range(10) for user in range(5)]
        found = split("global-time", dataset(pairs, [item for _, item in pairs]))
        assert not [text for text in describe_split(found) if "future" in text or "second" in text]

    def test_empty_parts(self) -> None:
        data = make()
        nothing = data.subset(np.array([], dtype=np.int64))
        assert describe_split(Split(data, None, nothing)) == ("The test part is empty.",)
        assert describe_split(Split(nothing, None, data)) == ("The training part is empty.",)


def test_identifiers_are_distinct_and_parameters_describe_themselves() -> None:
    assert max(Counter(spec.id for spec in SPLITTERS).values()) == 1
    for spec in SPLITTERS:
        assert all(field.help and field.label for field in spec.params.describe())
