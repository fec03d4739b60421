"""Top-k lists for many users by full ranking: the whole catalogue but what each user has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, InvalidData, Query, RankedLists

Float32: TypeAlias = npt.NDArray[np.float32]
Int32: TypeAlias = npt.NDArray[np.int32]
Bool: TypeAlias = npt.NDArray[np.bool_]
ScoreFunction: TypeAlias = Callable[[Query], Float32]

MEMORY_BUDGET = 32 * 2**20
"""Bytes that one block of users may take while it is ranked, the scores handed in included."""

_BYTES_PER_SCORE = 32
_GROUP = 16
_CROWD = 4


class TopK(NamedTuple):
    """The k best items of each row.

    items: int32 (n, k), -1 where a row has fewer. scores: float32 (n, k), falling, NaN where items is -1.
    tied: bool (n,), true where item codes had to break a tie: two of the listed, or one listed and one left out, have
    the same score.
    """

    items: Int32
    scores: Float32
    tied: Bool


def top_k(scores: npt.NDArray[Any], k: int) -> TopK:
    """The k largest scores of each row, ties broken by the smaller item code.

    scores: float (n, n_items); NaN and -inf are never listed. The answer is exact.

    Raises
    ------
    InvalidData: k is below 1.
    """
    return _top_k(np.ascontiguousarray(scores, dtype=np.float32), k)


def _top_k(scores: Float32, k: int) -> TopK:
    if k < 1:
        raise InvalidData(f"a list has at least one place, not {k}")
    n, width = scores.shape
    items = np.full((n, k), -1, dtype=np.int32)
    best = np.full((n, k), np.nan, dtype=np.float32)
    tied = np.zeros(n, dtype=np.bool_)
    if n == 0 or width == 0:
        return TopK(items, best, tied)
    reached = scores >= _lower_bound(scores, k)
    crowded = np.flatnonzero(np.count_nonzero(reached, axis=1) > _CROWD * k)
    if len(crowded):
        reached[crowded], tied[crowded] = _exactly_k(scores[crowded], k)
    flat = np.flatnonzero(reached)
    rows = flat // width
    values = scores.ravel()[flat]
    order = np.lexsort((-values, rows))
    codes, values = (flat - rows * width)[order], values[order]
    counts = np.bincount(rows, minlength=n)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    same_as_previous = np.zeros(len(rows), dtype=np.bool_)
    same_as_previous[1:] = values[1:] == values[:-1]
    tied[rows[same_as_previous & (places > 0) & (places <= k)]] = True
    listed = places < k
    rows, places = rows[listed], places[listed]
    items[rows, places] = codes[listed]
    best[rows, places] = values[listed]
    return TopK(items, best, tied)


def _lower_bound(scores: Float32, k: int) -> Float32:
    """A value that at least k scores of a row reach, close to the k-th largest: float32 (n, 1).

    The k-th largest of the maxima of disjoint groups is one, for k groups reach it, and is found in a small fraction of
    the time of a partition of the whole row. Where a row has fewer than k groups with a score it is the lowest number.
    """
    n, width = scores.shape
    lowest = np.finfo(np.float32).min
    groups = width // _GROUP
    if groups < 2 * k:
        return np.full((n, 1), lowest, dtype=np.float32)
    grouped = scores[:, : groups * _GROUP].reshape(n, _GROUP, groups)
    maxima = np.concatenate((np.fmax.reduce(grouped, axis=1), scores[:, groups * _GROUP :]), axis=1)
    maxima[np.isnan(maxima)] = -np.inf
    kth = maxima.shape[1] - k
    return np.maximum(np.partition(maxima, kth, axis=1)[:, kth, None], lowest)


def _exactly_k(scores: Float32, k: int) -> tuple[Bool, Bool]:
    """The k that are listed where many scores are alike: bool (n, width), and whether codes broke a tie: bool (n,)."""
    work = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    kth = work.shape[1] - k
    threshold = np.partition(work, kth, axis=1)[:, kth, None]
    above = work > threshold
    level = (work == threshold) & (work > -np.inf)
    free = k - np.count_nonzero(above, axis=1)
    rank = np.cumsum(level, axis=1, dtype=np.int32)
    return above | (level & (rank <= free[:, None])), rank[:, -1] > free


class RankingReport(NamedTuple):
    """Top-k lists of users and what had to be done to make them.

    items: int32 (n, k), -1 where even the fallback had nothing more to list. scores: float32 (n, k), falling; NaN in
    the places that the fallback filled. users: int32 (n,), codes. tied_lists: lists in which item codes broke a tie
    between scores of the model. fallback_lists: lists in which the model itself has no place. fallback_places: places
    that the fallback filled, in those lists and in short ones.
    """

    items: Int32
    scores: Float32
    users: Int32
    tied_lists: int
    fallback_lists: int
    fallback_places: int


def test_users(test: Dataset) -> Int32:
    """The users to be judged: all who have an interaction in `test`, unknown to train or not. int32 (n,), codes."""
    return np.flatnonzero(test.user_counts > 0).astype(np.int32)


# The name says what it returns; pytest must not take it for a test where it is imported.
test_users.__test__ = False  # type: ignore[attr-defined]


def relevant_items(
    test: Dataset, users: npt.NDArray[Any], min_rating: float | None = None
) -> tuple[npt.NDArray[np.int64], Int32]:
    """The held-out items of each user: (indptr int64 (n + 1,), items int32), as `RankedLists.relevant`.

    min_rating: interactions that are rated lower are not relevant; without it every one is.
    """
    if min_rating is not None and test.ratings is not None:
        test = test.subset(test.ratings >= min_rating)
    held_out = Query.of_users(test, users)
    return held_out.indptr, held_out.items


def rank_users(
    score: ScoreFunction,
    history: Dataset,
    users: npt.NDArray[Any],
    k: int,
    fallback: npt.NDArray[Any] | None = None,
    *,
    memory_budget: int = MEMORY_BUDGET,
    progress: Callable[[float], None] | None = None,
) -> RankingReport:
    """Rank the whole item vocabulary for each user, without the items that the user has in `history`.

    The model's own items come first, by falling score. Where fewer than k have a score, the best of the fallback that
    are neither seen nor listed fill the remaining places in the fallback's order, and their score is NaN: the two
    scores have no common unit, so a number there would only look like one.

    Parameters
    ----------
    score: gives float32 (n, n_items) for users with their histories, NaN where the model knows nothing.
    history: what each user has seen, in the vocabulary to be ranked.
    users: int (n,), codes.
    fallback: float (n_items,), scores that answer where the model does not; its NaN are never listed.
    memory_budget: bytes for one block of users.
    progress: told the share done after each block; an exception from it ends the ranking.

    Raises
    ------
    InvalidData: `score` answers with another shape, `fallback` has another length, or k is below 1.
    """
    codes = np.asarray(users, dtype=np.int32)
    n, n_items = len(codes), history.n_items
    spare = None
    if fallback is not None:
        spare = np.array(fallback, dtype=np.float32)
        if spare.shape != (n_items,):
            raise InvalidData(f"the fallback has shape {spare.shape} where {(n_items,)} was due")
    items = np.full((n, k), -1, dtype=np.int32)
    scores = np.full((n, k), np.nan, dtype=np.float32)
    tied = fallback_lists = fallback_places = 0
    step = max(1, memory_budget // (_BYTES_PER_SCORE * max(n_items, 1)))
    for begin in range(0, n, step):
        block = slice(begin, min(begin + step, n))
        query = Query.of_users(history, codes[block])
        answer = score(query)
        if answer.shape != (len(query), n_items):
            raise InvalidData(f"the model answered with shape {answer.shape} where {(len(query), n_items)} was due")
        work = np.array(answer, dtype=np.float32, order="C")
        work[query.owner, query.items] = np.nan
        best = _top_k(work, k)
        items[block], scores[block] = best.items, best.scores
        tied += int(best.tied.sum())
        if spare is not None:
            short = np.flatnonzero(best.items[:, -1] < 0)
            if len(short):
                own = (best.items[short] >= 0).sum(axis=1)
                topped_up = _top_up(best.items[short], own, query.take(short), spare)
                items[begin + short] = topped_up
                fallback_lists += int(((own == 0) & (topped_up[:, 0] >= 0)).sum())
                fallback_places += int((topped_up >= 0).sum() - own.sum())
        if progress is not None:
            progress(block.stop / n)
    return RankingReport(items, scores, codes, tied, fallback_lists, fallback_places)


def _top_up(items: Int32, own: npt.NDArray[np.int64], query: Query, spare: Float32) -> Int32:
    """Fill the places of `items` (n, k) from `own` (n,) on with the best of `spare` neither seen nor listed."""
    n, k = items.shape
    work = np.repeat(spare[None, :], n, axis=0)
    work[query.owner, query.items] = np.nan
    places = np.arange(k)
    listed = places < own[:, None]
    work[np.nonzero(listed)[0], items[listed]] = np.nan
    best = _top_k(work, k).items
    return np.where(listed, items, np.take_along_axis(best, np.where(listed, 0, places - own[:, None]), axis=1))


def rank_test_users(
    score: ScoreFunction,
    train: Dataset,
    test: Dataset,
    k: int,
    fallback: npt.NDArray[Any] | None = None,
    *,
    history: Dataset | None = None,
    min_relevant_rating: float | None = None,
    memory_budget: int = MEMORY_BUDGET,
    progress: Callable[[float], None] | None = None,
) -> tuple[RankedLists, RankingReport]:
    """Lists for every user of `test`, with their held-out items: what the metrics read. Arguments as `rank_users`.

    train: what the model was fitted on. history: what each user did, which the model may see and which is not listed
    again; by default what they did in `train`. min_relevant_rating: as `relevant_items`.
    """
    report = rank_users(
        score,
        train if history is None else history,
        test_users(test),
        k,
        fallback,
        memory_budget=memory_budget,
        progress=progress,
    )
    relevant = relevant_items(test, report.users, min_relevant_rating)
    return RankedLists(report.items, report.scores, report.users, relevant, train, test), report
