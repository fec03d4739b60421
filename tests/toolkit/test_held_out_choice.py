"""The choice of settings on held-out data: its figure, what it takes, what it looks at, and stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recsys_desktop.api import CannotFit, Dataset, DataShape, Recommender, RunContext, Vocabulary
from recsys_desktop.api.testing import made_data, naive
from recsys_desktop.toolkit import held_out_choice
from recsys_desktop.toolkit.held_out_choice import best_on_held_out, mean_ndcg
from recsys_linear.plugin import EASE
from recsys_neighbors.plugin import ITEM_KNN


def item_knn(neighbours: int, train: Dataset, run: RunContext) -> Recommender:
    return ITEM_KNN.load()(ITEM_KNN.params(neighbours=neighbours, popularity=0)).fit(train, run)


@pytest.mark.parametrize("neighbours", [1, 40])
def test_the_figure_is_that_of_the_definition(neighbours: int) -> None:
    """With one neighbour many items score NaN, and many scores tie."""
    train, test = made_data.of_shape(DataShape(150, 80, 2500), False).hold_out(0.2, np.random.default_rng(0))
    model = item_knn(neighbours, train, RunContext())
    people = np.flatnonzero(test.user_counts)
    assert mean_ndcg(model, train, test, people) == pytest.approx(naive.mean_ndcg(model, train, test, 30))


def test_fewer_items_than_places_are_judged() -> None:
    train, test = made_data.of_shape(DataShape(40, 6, 120), False).hold_out(0.3, np.random.default_rng(0))
    model = item_knn(5, train, RunContext())
    assert mean_ndcg(model, train, test, np.flatnonzero(test.user_counts)) == pytest.approx(
        naive.mean_ndcg(model, train, test, 30)
    )


def test_the_option_that_ranks_best_is_taken() -> None:
    data = made_data.communities().train
    seen: list[tuple[float, int]] = []

    def fitted(regularisation: float, kept: Dataset, run: RunContext) -> Recommender:
        seen.append((regularisation, len(kept)))
        return EASE.load()(EASE.params(regularisation=regularisation, intercept=False)).fit(kept, run)

    best_on_held_out((1e6, 20.0), fitted, data, RunContext(), span=0.5)
    assert [option for option, _ in seen] == [1e6, 20.0]
    assert all(0.8 * len(data) < size < 0.95 * len(data) for _, size in seen)

    def reversed_unless(asked: int, kept: Dataset, run: RunContext) -> Recommender:
        model = EASE.load()(EASE.params()).fit(kept, run)
        return model if asked == 7 else _Reversed(model)

    assert best_on_held_out((3, 7, 5), reversed_unless, data, RunContext(), span=0.5) == 7


class _Reversed:
    """Ranks the other way round."""

    def __init__(self, model: Recommender) -> None:
        self.model = model

    def score(self, query):
        return -self.model.score(query)


def test_an_option_that_cannot_be_fitted_loses_and_the_first_wins_where_there_is_nothing_to_judge_by() -> None:
    data = made_data.communities().train

    def fitted(neighbours: int, kept: Dataset, run: RunContext) -> Recommender:
        if neighbours == 1:
            raise CannotFit("not this one")
        return item_knn(neighbours, kept, run)

    assert best_on_held_out((1, 20), fitted, data, RunContext(), span=1.0) == 20
    single = data.subset(np.unique(data.users, return_index=True)[1])
    assert best_on_held_out((1, 20), fitted, single, RunContext(), span=1.0) == 1


def test_large_data_are_tried_on_some_of_the_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out_choice, "MOST_INTERACTIONS", 500)
    data = made_data.of_shape(DataShape(150, 80, 2500), False)
    sizes: list[int] = []

    def fitted(neighbours: int, kept: Dataset, run: RunContext) -> Recommender:
        sizes.append(len(kept))
        own = data.user_counts
        assert all(own[user] // 2 <= count <= own[user] for user, count in enumerate(kept.user_counts) if count)
        return item_knn(neighbours, kept, run)

    best_on_held_out((1, 20), fitted, data, RunContext(), span=1.0)
    assert len(data) > 1000
    assert all(300 < size < 600 for size in sizes)


def test_a_share_of_the_people_may_be_tried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out_choice, "FEWEST_PEOPLE", 60)
    data = made_data.of_shape(DataShape(150, 80, 2500), False)
    tried: list[int] = []

    def fitted(neighbours: int, kept: Dataset, run: RunContext) -> Recommender:
        tried.append(int(np.count_nonzero(kept.user_counts)))
        return item_knn(neighbours, kept, run)

    active = int(np.count_nonzero(data.user_counts))
    for share, expected in ((0.5, round(0.5 * active)), (0.2, active), (1.0, active)):
        tried.clear()
        best_on_held_out((1, 20), fitted, data, RunContext(), span=1.0, people=share)
        assert tried == [expected, expected]


def test_what_is_rated_too_low_is_neither_learnt_from_nor_looked_for() -> None:
    data = made_data.communities().train
    assert data.ratings is not None
    low = replace(data, ratings=np.where(np.arange(len(data)) % 2, 5.0, 1.0).astype(np.float32))

    def fitted(neighbours: int, kept: Dataset, run: RunContext) -> Recommender:
        assert kept.ratings is not None
        assert kept.ratings.min() == 5.0
        return item_knn(neighbours, kept, run)

    best_on_held_out((1, 20), fitted, low, RunContext(), span=1.0, min_rating=3.0)


class _Stopped(RunContext):
    """Asked to stop once the first trial has begun, and told of progress."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        self.told: list[float] = []

    @property
    def should_stop(self) -> bool:
        return self.begun

    def progress(self, fraction: float, text: str = "") -> None:
        self.told.append(fraction)


def test_stopping_during_a_trial_ends_the_choice() -> None:
    run = _Stopped()
    trials: list[int] = []

    def fitted(neighbours: int, kept: Dataset, part: RunContext) -> Recommender:
        trials.append(neighbours)
        model = item_knn(neighbours, kept, part)
        run.begun = True
        assert part.should_stop
        return model

    with pytest.raises(CannotFit, match="stopped"):
        best_on_held_out((1, 20), fitted, made_data.communities().train, run, span=0.6)
    assert trials == [1]
    assert run.told
    assert max(run.told) <= 0.3


def test_the_first_option_near_the_best_is_taken() -> None:
    data = made_data.communities().train
    for options in ((20, 15), (15, 20)):
        assert best_on_held_out(options, item_knn, data, RunContext(), span=1.0, tolerance=0.3) == options[0]
    assert best_on_held_out((1, 20), item_knn, data, RunContext(), span=1.0, tolerance=0.05) == 20
    assert best_on_held_out((1, 20), item_knn, data, RunContext(), span=1.0, tolerance=1.0) == 1


def test_histories_of_two_leave_enough_to_learn_from() -> None:
    """Half of the data would leave nobody with two items, and nothing to tell what goes with what."""
    users = np.repeat(np.arange(2000), 2)
    data = Dataset(
        Vocabulary(map(str, range(2000))), Vocabulary(map(str, range(9))), users, np.tile([0, 1, 2, 3], 1000)
    )
    seen: list[Dataset] = []

    def fitted(option: float, kept: Dataset, run: RunContext) -> Recommender:
        seen.append(kept)
        return EASE.load()(EASE.params(regularisation=option)).fit(kept, run)

    best_on_held_out((25.0, 20.0), fitted, data, RunContext(), span=1.0)
    assert (seen[0].user_counts == 2).mean() > 0.75


def test_where_too_few_of_those_tried_can_tell_the_fallback_is_taken() -> None:
    """Forty-five people have two interactions, but two fifths of all are tried."""
    users = np.append(np.arange(2000), np.arange(45))
    items = np.append(np.arange(2000) % 9, (np.arange(45) + 1) % 9)
    data = Dataset(Vocabulary(map(str, range(2000))), Vocabulary(map(str, range(9))), users, items)
    found = best_on_held_out((1, 20), item_knn, data, RunContext(), span=1.0, people=0.4, fallback=7)
    assert found == 7
    assert best_on_held_out((1, 20), item_knn, data, RunContext(), span=1.0, people=0.4) == 1
