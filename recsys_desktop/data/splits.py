"""Ways of dividing a Dataset into train, validation and test, and warnings about leakage and ties."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.errors import InvalidData, InvalidParameter
from recsys_desktop.api.extensions import Split, SplitterSpec
from recsys_desktop.api.params import Params, param
from recsys_desktop.data.texts import counted

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class ShareParams(Params):
    """How much of the data is set aside."""

    test_share: float = param(0.2, gt=0, lt=1, label="Test share", help="Share of the interactions that judge a model.")
    validation_share: float = param(
        0.0, ge=0, lt=1, label="Validation share", help="Share that early stopping and tuning may look at; 0 for none."
    )


class PerUserParams(ShareParams):
    """How much of each person's interactions is set aside."""

    minimum: int = param(
        2, ge=2, label="Fewest interactions", help="People with fewer interactions are in the training part only."
    )
    latest: bool = param(
        False, label="Latest first", help="Set aside the latest interactions of each person instead of random ones."
    )


class LeaveLastOutParams(Params):
    """How many of each person's last interactions are set aside."""

    test_interactions: int = param(1, ge=1, label="For testing", help="The last interactions of each person.")
    validation_interactions: int = param(0, ge=0, label="For validation", help="The ones before them; 0 for none.")
    minimum_train: int = param(
        1, ge=1, label="Fewest left for training", help="People who would keep fewer stay in the training part."
    )


class FoldParams(Params):
    """One fold of several."""

    folds: int = param(5, ge=2, le=100, label="Folds", help="How many parts the data is divided into.")
    fold: int = param(1, ge=1, le=100, label="Fold", help="Which of them is the test part, from 1.")
    by: Literal["rating", "user"] = param(
        "rating", label="Divide", help="Ratings over the folds at random, or people with all that they did."
    )
    validation_share: float = param(
        0.0, ge=0, lt=1, label="Validation share", help="Share of what is left that validates; 0 for none."
    )


class HeldOutUsersParams(Params):
    """How many people are set aside, with all that they did."""

    test_share: float = param(0.1, gt=0, lt=1, label="Test people", help="Share of the people that judge a model.")
    history_share: float = param(
        0.8,
        ge=0,
        lt=1,
        label="History share",
        help="Share of what they did that a model sees when it is asked for them; the rest is to be found.",
    )


def split_random(dataset: Dataset, params: Params, seed: int) -> Split:
    """Interactions at random, whoever they belong to."""
    assert isinstance(params, ShareParams)
    n_test, n_validation = _sizes(len(dataset), params.test_share, params.validation_share, "interactions")
    order = np.random.default_rng(seed).permutation(len(dataset))
    return _parts(dataset, order[:n_test], order[n_test : n_test + n_validation], params.validation_share > 0)


def split_per_user(dataset: Dataset, params: Params, seed: int) -> Split:
    """The same share of every person's interactions: at random, or the latest."""
    assert isinstance(params, PerUserParams)
    _check_shares(params.test_share, params.validation_share)
    generator = np.random.default_rng(seed)
    kept, test = dataset.hold_out(params.test_share, generator, params.minimum, params.latest)
    if params.validation_share == 0:
        return Split(kept, None, test)
    share = params.validation_share / (1 - params.test_share)
    train, validation = kept.hold_out(share, generator, params.minimum, params.latest)
    return Split(train, validation, test)


def split_leave_last_out(dataset: Dataset, params: Params, seed: int) -> Split:
    """The last interactions of every person in time order; file order decides among ties, or where no times are."""
    assert isinstance(params, LeaveLastOutParams)
    held = params.test_interactions + params.validation_interactions
    counts = dataset.user_counts
    histories = dataset.histories
    owners = np.repeat(np.arange(dataset.n_users), counts)
    from_end = histories.indptr[1:][owners] - np.arange(len(dataset)) - 1
    eligible = (counts >= held + params.minimum_train)[owners]
    if not eligible.any():
        raise InvalidData(
            f"nobody has {held + params.minimum_train} interactions, which leave-last-out needs: set fewer aside"
        )
    test = histories.rows[eligible & (from_end < params.test_interactions)]
    validation = histories.rows[eligible & (from_end >= params.test_interactions) & (from_end < held)]
    return _parts(dataset, test, validation, params.validation_interactions > 0)


def split_global_time(dataset: Dataset, params: Params, seed: int) -> Split:
    """Everything after a moment is test; interactions of one second are never divided."""
    assert isinstance(params, ShareParams)
    if dataset.timestamps is None:
        raise InvalidData("this data has no times: divide it another way, or give a column the role 'timestamp'")
    n_test, n_validation = _sizes(len(dataset), params.test_share, params.validation_share, "interactions")
    times = dataset.timestamps
    ordered = np.sort(times)
    test_from = _moment(ordered, n_test)
    test = np.flatnonzero(times >= test_from)
    if params.validation_share == 0:
        return _parts(dataset, test, test[:0], False)
    earlier = ordered[ordered < test_from]
    validation_from = _moment(earlier, n_validation)
    return _parts(dataset, test, np.flatnonzero((times >= validation_from) & (times < test_from)), True)


def _moment(ordered: Rows, wanted: int) -> int:
    """The moment from which on there are about `wanted` interactions, at least one, with something before it."""
    moment = int(ordered[len(ordered) - wanted]) if len(ordered) else 0
    if not len(ordered) or ordered[0] == ordered[-1]:
        raise InvalidData("all interactions have the same time, so that time cannot divide them")
    if moment == ordered[0]:
        moment = int(ordered[np.searchsorted(ordered, moment, side="right")])
    return moment


def split_fold(dataset: Dataset, params: Params, seed: int) -> Split:
    """One of several folds is test; the folds of one seed are disjoint and together everything."""
    assert isinstance(params, FoldParams)
    if params.fold > params.folds:
        raise InvalidParameter("fold", f"{params.fold} of {params.folds} folds does not exist")
    generator = np.random.default_rng(seed)
    if params.by == "user":
        people = np.flatnonzero(dataset.user_counts > 0)
        _enough(len(people), params.folds, "people")
        fold_of_user = np.full(dataset.n_users, -1, dtype=np.int64)
        fold_of_user[generator.permutation(people)] = np.arange(len(people)) % params.folds
        folds = fold_of_user[dataset.users]
    else:
        _enough(len(dataset), params.folds, "interactions")
        folds = np.empty(len(dataset), dtype=np.int64)
        folds[generator.permutation(len(dataset))] = np.arange(len(dataset)) % params.folds
    test = np.flatnonzero(folds == params.fold - 1)
    rest = np.flatnonzero(folds != params.fold - 1)
    if params.by == "user" and params.validation_share > 0:
        others = np.flatnonzero((dataset.user_counts > 0) & (fold_of_user != params.fold - 1))
        n_validation = min(max(1, round(params.validation_share * len(others))), len(others) - 1)
        chosen = np.zeros(dataset.n_users, dtype=np.bool_)
        chosen[generator.permutation(others)[:n_validation]] = True
        validation = rest[chosen[dataset.users[rest]]]
    else:
        validation = generator.permutation(rest)[: round(params.validation_share * len(rest))]
    return _parts(dataset, test, validation, params.validation_share > 0)


def split_held_out_users(dataset: Dataset, params: Params, seed: int) -> Split:
    """People that a model has never seen: part of what they did is their history, the rest is to be found.

    Strong generalisation: Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018, section 4.
    """
    assert isinstance(params, HeldOutUsersParams)
    people = np.flatnonzero(dataset.user_counts > 0)
    n_test, _ = _sizes(len(people), params.test_share, 0.0, "people")
    generator = np.random.default_rng(seed)
    held_out = np.zeros(dataset.n_users, dtype=np.bool_)
    held_out[generator.permutation(people)[:n_test]] = True
    rows = held_out[dataset.users]
    train, rest = dataset.subset(~rows), dataset.subset(rows)
    if params.history_share == 0:
        return Split(train, None, rest)
    test, history = rest.hold_out(params.history_share, generator)
    return Split(train, None, test, history)


def _check_shares(test: float, validation: float) -> None:
    if test + validation >= 1:
        raise InvalidParameter("validation_share", f"{test:g} + {validation:g} leaves nothing for training")


def _enough(present: int, needed: int, what: str) -> None:
    if present < needed:
        raise InvalidData(f"the data has {present} {what}, and {needed} are needed for this split")


def _sizes(total: int, test_share: float, validation_share: float, what: str) -> tuple[int, int]:
    """How many go to test and to validation: at least one each where wanted, and at least one is left."""
    _check_shares(test_share, validation_share)
    _enough(total, 3 if validation_share else 2, what)
    validation = max(1, round(total * validation_share)) if validation_share else 0
    test = min(max(1, round(total * test_share)), total - validation - 1)
    return test, validation


def _parts(dataset: Dataset, test: Rows, validation: Rows, has_validation: bool) -> Split:
    """The parts in file order."""
    part = np.zeros(len(dataset), dtype=np.int8)
    part[validation] = 1
    part[test] = 2
    return Split(
        dataset.subset(part == 0),
        dataset.subset(part == 1) if has_validation else None,
        dataset.subset(part == 2),
    )


def describe_split(split: Split) -> tuple[str, ...]:
    """What somebody should know before trusting figures from this split: leakage, ties, unknown people and items."""
    train, test = split.train, split.test
    found: list[str] = []
    if not len(test):
        return ("The test part is empty.",)
    if not len(train):
        return ("The training part is empty.",)
    shared = _shared_pairs(train, test)
    if shared:
        found.append(
            f"{counted(shared, 'user-item pair')} {'is' if shared == 1 else 'are'} in train and in test: lists leave "
            f"out what was seen, so {'it counts' if shared == 1 else 'they count'} as missed."
        )
    new_users = int(((test.user_counts > 0) & (train.user_counts == 0)).sum())
    testers = int((test.user_counts > 0).sum())
    are = "is" if new_users == 1 else "are"
    if new_users and split.history is not None:
        found.append(
            f"{counted(new_users, 'test user')} {are} not in train: models that need to know a person fall back."
        )
    elif new_users:
        found.append(
            f"{new_users:,} of {counted(testers, 'test user')} {are} not in train: a fallback answers for most models."
        )
    new_items = int((train.item_counts[test.items] == 0).sum())
    if new_items:
        found.append(f"{new_items / len(test):.1%} of the test interactions are with items that are not in train.")
    if train.timestamps is not None and test.timestamps is not None:
        found.extend(_time_warnings(train, test))
    return tuple(found)


def _shared_pairs(train: Dataset, test: Dataset) -> int:
    width = max(train.n_items, 1)
    seen = train.users.astype(np.int64) * width + train.items
    asked = test.users.astype(np.int64) * width + test.items
    return int(np.isin(asked, seen).sum())


def _time_warnings(train: Dataset, test: Dataset) -> list[str]:
    assert train.timestamps is not None and test.timestamps is not None
    last = np.full(train.n_users, np.iinfo(np.int64).min, dtype=np.int64)
    np.maximum.at(last, train.users, train.timestamps)
    first = np.full(train.n_users, np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(first, test.users, test.timestamps)
    both = (train.user_counts > 0) & (test.user_counts > 0)
    people = int(both.sum())
    if not people:
        return []
    found = []
    ahead = int((last[both] > first[both]).sum())
    tied = int((last[both] == first[both]).sum())
    if ahead:
        found.append(
            f"For {ahead / people:.0%} of the test users, train holds interactions later than some in test: "
            "the future leaks into training, so figures are higher than in use."
        )
    if tied:
        found.append(
            f"For {tied / people:.0%} of the test users, train and test meet in the same second: file order decided."
        )
    if train.timestamps.max() > test.timestamps.min() and not ahead:
        found.append("Train holds interactions of other people that are later than some in test.")
    return found


SPLITTERS: tuple[SplitterSpec, ...] = (
    SplitterSpec(
        "per-user",
        "Share of each person",
        "Sets aside the same share of every person's interactions, so that everybody is tested.",
        PerUserParams,
        split_per_user,
    ),
    SplitterSpec(
        "random",
        "Random",
        "Sets aside interactions at random, whoever they belong to.",
        ShareParams,
        split_random,
    ),
    SplitterSpec(
        "leave-last-out",
        "Leave last out",
        "Sets aside each person's last interactions, as in use: the past predicts the next step.",
        LeaveLastOutParams,
        split_leave_last_out,
    ),
    SplitterSpec(
        "global-time",
        "Global time",
        "Everything after one moment is test: nothing of the future is known in training.",
        ShareParams,
        split_global_time,
    ),
    SplitterSpec(
        "k-fold",
        "K-fold",
        "One of several equal folds is test; run all folds for a cross-validation.",
        FoldParams,
        split_fold,
    ),
    SplitterSpec(
        "strong-generalisation",
        "Held-out people",
        "Sets aside people: given part of what they did, how well does a model serve somebody it has never seen?",
        HeldOutUsersParams,
        split_held_out_users,
    ),
)
