"""Settings that the data decide: the one that ranks held-out interactions best is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api import CannotFit, Dataset, DataShape, Query, Recommender, RunContext, Validation

HELD_OUT_SHARE = 0.1
MOST_PEOPLE = 1000
FEWEST_PEOPLE = 200
FEWEST_JUDGED = 30
MOST_INTERACTIONS = 1_000_000
LIST_LENGTH = 30
_SCORES_AT_ONCE = 1_000_000
# The seed of every draw here, so that the same data make the same choice.
_DRAWS = 20

Option = TypeVar("Option")


class StretchOfRun(RunContext):
    """A part of a run: as the run around it, but that progress goes from `begin` to `end`.

    trial: what the progress of a trial begins with, else None. In a trial nothing is logged, as the steps of several
    trials in one curve would mean nothing, nothing is validated or kept in checkpoints, and no draw goes by the seed.
    """

    def __init__(self, run: RunContext, begin: float, end: float, trial: str | None = None) -> None:
        is_trial = trial is not None
        super().__init__(
            _DRAWS if is_trial else run.seed,
            threads=run.threads,
            device=run.device,
            epochs=None if is_trial else run.epochs,
            checkpoints=None if is_trial else run.checkpoints,
            chosen=None if is_trial else run.chosen,
        )
        self._run = run
        self._begin, self._end = begin, end
        self._is_trial = is_trial
        self._label = f"{trial}: " if trial else ""

    @property
    def should_stop(self) -> bool:
        """As the run around it."""
        return self._run.should_stop

    @property
    def validates(self) -> bool:
        """As the run around it, except in a trial."""
        return self._run.validates and not self._is_trial

    def progress(self, fraction: float, text: str = "") -> None:
        """As `RunContext.progress`, within the stretch."""
        self._run.progress(self._begin + (self._end - self._begin) * fraction, self._label + text)

    def log(self, step: int, **values: float) -> None:
        """As the run around it, except in a trial."""
        if not self._is_trial:
            self._run.log(step, **values)

    def validate(
        self, model: Recommender, held_out: Dataset | None = None, history: Dataset | None = None
    ) -> Validation | None:
        """As the run around it, except in a trial."""
        return None if self._is_trial else self._run.validate(model, held_out, history)

    def fit(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        """As the run around it."""
        return self._run.fit(algorithm, params, train)


def choice_memory(shape: DataShape) -> int:
    """Bytes that `best_on_held_out` needs beside what its trials allocate: parts of the data, blocks of scores."""
    entries = min(shape.n_interactions, MOST_INTERACTIONS)
    scores = min(_SCORES_AT_ONCE, min(shape.n_users, MOST_PEOPLE) * shape.n_items)
    return 60 * entries + 16 * scores + 60 * (shape.n_users + shape.n_items)


def choice_seconds(shape: DataShape, options: int) -> float:
    """Seconds that `best_on_held_out` needs to find the places of held-out items, beside what its trials do."""
    return options * min(shape.n_users, MOST_PEOPLE) * (2e-5 + 1e-8 * shape.n_items)


def best_on_held_out(
    options: Sequence[Option],
    fitted: Callable[[Option, Dataset, RunContext], Recommender],
    train: Dataset,
    run: RunContext,
    *,
    span: float,
    min_rating: float | None = None,
    people: float = 1.0,
    tolerance: float = 0.0,
    fallback: Option | None = None,
) -> Option:
    """The option whose model, fitted to nine tenths of the interactions, ranks the other tenth best.

    The tenth is one of everybody's interactions; where people have few, it is one each of some of them.

    It is judged by `mean_ndcg` over at most `MOST_PEOPLE` people, and fitted to those of as many as have about
    `MOST_INTERACTIONS`. All draws go by the data alone: the same data make the same choice, whatever the run's seed.
    Of the options that come within `tolerance` of the best (a share of its figure) the first is taken, and one that
    cannot be fitted to the nine tenths loses. Where fewer than `FEWEST_JUDGED` of those tried have two interactions,
    what they say is chance: `fallback` is taken, or the first option where there is none.

    Parameters
    ----------
    fitted: called with each option, the nine tenths and the run of the trial. span: the share of the run's progress
    that the trials take, from its beginning. min_rating: what is rated lower is neither learnt from nor looked for.
    people: the share of the people to try on, where that leaves `FEWEST_PEOPLE`; the others take no part in the trials.

    Raises
    ------
    CannotFit: the run was asked to stop before the choice was made.
    """
    if min_rating is not None and train.ratings is not None:
        train = train.subset(train.ratings >= min_rating)
    generator = np.random.default_rng(_DRAWS)
    active = int(np.count_nonzero(train.user_counts))
    if len(train) > MOST_INTERACTIONS or (people < 1 and people * active >= FEWEST_PEOPLE):
        train = _part(train, generator.permutation(np.flatnonzero(train.user_counts)), round(people * active))
    kept, held_out = train.hold_out(HELD_OUT_SHARE, generator, within_fraction=True)
    judged = np.flatnonzero(held_out.user_counts)
    if len(options) == 1 or len(judged) < FEWEST_JUDGED:
        return options[0] if fallback is None else fallback
    if len(judged) > MOST_PEOPLE:
        judged = np.sort(generator.choice(judged, MOST_PEOPLE, replace=False))
    figures = []
    for place, option in enumerate(options):
        begin, end = (span * at / len(options) for at in (place, place + 1))
        part = StretchOfRun(run, begin, end, trial=f"trying setting {place + 1} of {len(options)}")
        part.progress(0.0, "fitting")
        try:
            model = fitted(option, kept, part)
            figures.append(mean_ndcg(model, kept, held_out, judged, lambda: run.should_stop))
        except CannotFit:
            figures.append(-1.0)
        if run.should_stop:
            raise CannotFit("stopped before there was a model to keep")
    return options[int(np.argmax(np.asarray(figures) >= (1 - tolerance) * max(figures)))]


def _part(train: Dataset, order: npt.NDArray[np.int64], most: int) -> Dataset:
    """The interactions of the first `most` people of `order` (codes), of fewer where they pass `MOST_INTERACTIONS`."""
    chosen = np.zeros(train.n_users, dtype=np.bool_)
    enough = int(np.searchsorted(np.cumsum(train.user_counts[order]), MOST_INTERACTIONS)) + 1
    chosen[order[: min(most, enough)]] = True
    return train.subset(chosen[train.users])


def mean_ndcg(
    model: Recommender,
    history: Dataset,
    held_out: Dataset,
    people: npt.NDArray[np.int64],
    should_stop: Callable[[], bool] = lambda: False,
) -> float:
    """Mean NDCG@30 of `people` (codes, who all have something held out) over the whole catalogue.

    What a person has in `history` and what scores NaN is not listed; ties go to the lower item. The gain of a held-out
    item at place p is 1 / log2(1 + p), and a list is compared to the best one possible (Järvelin, Kekäläinen 2002). The
    lists are longer than those that people look at, so that less is left to chance. Where it should stop, NaN.
    """
    seen, wanted = history.matrix("one"), held_out.matrix("one")
    gains = 1 / np.log2(np.arange(2, LIST_LENGTH + 2))
    total, step = 0.0, max(1, _SCORES_AT_ONCE // history.n_items)
    for begin in range(0, len(people), step):
        if should_stop():
            return float("nan")
        block = people[begin : begin + step]
        scores = model.score(Query.of_users(history, block))
        total += _sum_of_ndcg(scores, block, seen.indptr, seen.indices, wanted.indptr, wanted.indices, gains)
    return total / len(people)


@numba.njit(cache=True, nogil=True)
def _sum_of_ndcg(
    scores: Any, people: Any, indptr: Any, items: Any, wanted_indptr: Any, wanted_items: Any, gains: Any
) -> float:
    """The sum of the NDCG of people with these scores, at len(gains); seen items are struck from the scores."""
    total = 0.0
    for place in range(len(people)):
        user, row = people[place], scores[place]
        for at in range(indptr[user], indptr[user + 1]):
            row[items[at]] = np.nan
        gained, ideal = 0.0, 0.0
        for at in range(wanted_indptr[user], wanted_indptr[user + 1]):
            rank = at - wanted_indptr[user]
            if rank < len(gains):
                ideal += gains[rank]
            ahead = _number_ahead(row, wanted_items[at], len(gains))
            if ahead < len(gains):
                gained += gains[ahead]
        total += gained / ideal
    return total


@numba.njit(cache=True, nogil=True)
def _number_ahead(row: Any, item: int, enough: int) -> int:
    """How many items stand before `item` in a list by `row`, counted up to `enough`; so many where it has no score."""
    own = row[item]
    if np.isnan(own):
        return enough
    ahead = 0
    for other in range(len(row)):
        if row[other] > own or (row[other] == own and other < item):
            ahead += 1
            if ahead == enough:
                break
    return ahead
