"""Calibration: what a score is worth as the probability that the person takes the item up, with its measured error.

For people whose interactions were partly held out, the items of their lists are candidates, and a candidate is a hit
where it is among the held-out ones. Hits are a rising step function of the score (isotonic regression over groups of
candidates: Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability estimates, KDD
2002); each step has a Wilson interval (Wilson 1927).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, Float32
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.run import RunContext

CANDIDATES = 50
"""Items of each person's list that are looked at."""

CALIBRATION_USERS = 2000

PEOPLE_AT_ONCE = 32
"""People whose lists are made between two looks at whether to stop: a slow model takes 10 ms for each."""

FEWEST_HITS = 20
FEWEST_IN_GROUP = 50
MOST_GROUPS = 100

_BYTES_PER_SCORE = 32
_Z = 1.959963984540054
Float64 = npt.NDArray[np.float64]


class Confidence(NamedTuple):
    """A calibrated probability with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """A map from score to probability.

    scores, probabilities, low, high: float64 (m,), one value a step of the isotonic fit: mean score, share of hits,
    Wilson interval; between steps it is interpolated. error: expected calibration error, the mean distance of predicted
    and observed share weighted by candidates, measured on people that the fit did not see. candidates, hits, users:
    what it rests on.
    """

    scores: Float64
    probabilities: Float64
    low: Float64
    high: Float64
    error: float
    candidates: int
    hits: int
    users: int

    def confidence(self, score: float) -> Confidence | None:
        """The confidence of one score, or None for NaN."""
        if np.isnan(score):
            return None
        return Confidence(
            float(np.interp(score, self.scores, self.probabilities)),
            float(np.interp(score, self.scores, self.low)),
            float(np.interp(score, self.scores, self.high)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` takes back."""
        return {
            "scores": self.scores.tolist(),
            "probabilities": self.probabilities.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "error": self.error,
            "candidates": self.candidates,
            "hits": self.hits,
            "users": self.users,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Read back what `to_dict` gave.

        Raises
        ------
        ValueError, KeyError, TypeError: the values are not a calibration.
        """
        scores, probabilities, low, high = steps = [
            np.asarray(values[name], dtype=np.float64) for name in ("scores", "probabilities", "low", "high")
        ]
        if not len(scores) or any(step.shape != scores.shape or not np.isfinite(step).all() for step in steps):
            raise ValueError("a calibration has as many probabilities as scores, all finite")
        return cls(
            scores,
            probabilities,
            low,
            high,
            float(values["error"]),
            int(values["candidates"]),
            int(values["hits"]),
            int(values["users"]),
        )


def calibrate(
    model: Recommender,
    history: Dataset,
    held_out: Dataset,
    run: RunContext,
    check: Callable[[], None] = lambda: None,
) -> tuple[Calibration | None, str]:
    """Learn the confidence of a model's scores: (calibration, "") or (None, why there is none).

    model: fitted on `history` without `held_out`; both in its vocabulary. run: told how far it is. check: called
    between blocks of people; what it raises ends the calibration.
    """
    from recsys_desktop.engine.fitting import sampled_users
    from recsys_desktop.evaluation import judge, rank_test_users
    from recsys_desktop.evaluation.ranked_lists import MEMORY_BUDGET

    def told(done: float) -> None:
        run.progress(done, "Measuring how far scores can be trusted")
        check()

    part = sampled_users(held_out, CALIBRATION_USERS, run)
    score = model.score if model.spec.capabilities.ranks else model.predict
    length = min(CANDIDATES, max(history.n_items, 1))
    budget = min(MEMORY_BUDGET, PEOPLE_AT_ONCE * _BYTES_PER_SCORE * max(history.n_items, 1))
    told(0.0)
    ranked, _ = rank_test_users(score, history, part, length, memory_budget=budget, progress=told)
    hits = judge(ranked.lists, ranked.relevant).hits
    listed = (ranked.lists >= 0) & ~np.isnan(ranked.scores)
    people = np.broadcast_to(np.arange(len(listed))[:, None], listed.shape)[listed]
    return from_candidates(ranked.scores[listed], hits[listed], people, run)


def from_candidates(
    scores: Float32, hits: npt.NDArray[np.bool_], people: npt.NDArray[Any], run: RunContext
) -> tuple[Calibration | None, str]:
    """Calibrate on candidates: scores float32 (m,), hits bool (m,), people int (m,) to whom each was shown."""
    total = int(hits.sum())
    if total < FEWEST_HITS:
        return None, f"only {total} held-out items are in the lists; at least {FEWEST_HITS} are needed to calibrate"
    users = np.unique(people)
    half = np.zeros(int(users.max()) + 1, dtype=np.bool_)
    half[run.generator("calibration halves").permutation(users)[: len(users) // 2]] = True
    first = half[people]
    errors = []
    for learnt, judged in ((first, ~first), (~first, first)):
        if learnt.any() and judged.any():
            steps = _steps(scores[learnt], hits[learnt])
            errors.append(_calibration_error(steps, scores[judged], hits[judged]))
    if not errors:
        return None, "only one person could be looked at; the confidence could not be checked on another"
    steps = _steps(scores, hits)
    return Calibration(*steps, float(np.mean(errors)), len(scores), total, len(users)), ""


class _Steps(NamedTuple):
    scores: Float64
    probabilities: Float64
    low: Float64
    high: Float64


def _steps(scores: Float32, hits: npt.NDArray[np.bool_]) -> _Steps:
    """Isotonic regression over groups of candidates with like scores; equal scores are never parted."""
    from scipy.optimize import isotonic_regression

    values, group = np.unique(scores.astype(np.float64), return_inverse=True)
    counts = np.bincount(group).astype(np.float64)
    hit_counts = np.bincount(group, weights=hits)
    width = max(FEWEST_IN_GROUP, -(-len(scores) // MOST_GROUPS))
    coarse = np.minimum((np.cumsum(counts) - 1) // width, max(len(scores) // width - 1, 0)).astype(np.int64)
    _, coarse = np.unique(coarse, return_inverse=True)
    sizes = np.bincount(coarse, weights=counts)
    shares = np.bincount(coarse, weights=hit_counts) / sizes
    means = np.bincount(coarse, weights=values * counts) / sizes
    fitted = isotonic_regression(shares, weights=sizes)
    block = np.repeat(np.arange(len(fitted.blocks) - 1), np.diff(fitted.blocks))
    block_sizes = np.bincount(block, weights=sizes).astype(np.float64)
    block_scores = np.bincount(block, weights=means * sizes) / block_sizes
    probabilities = np.asarray(fitted.x, dtype=np.float64)[fitted.blocks[:-1]]
    low, high = wilson_interval(probabilities, block_sizes)
    return _Steps(block_scores, probabilities, low, high)


def wilson_interval(share: Float64, count: Float64) -> tuple[Float64, Float64]:
    """The 95 % Wilson score interval of a share: (low, high), float64, as shaped as the arguments."""
    denominator = 1 + _Z**2 / count
    centre = (share + _Z**2 / (2 * count)) / denominator
    reach = _Z / denominator * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)


def _calibration_error(steps: _Steps, scores: Float32, hits: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error over ten groups of equal size, by predicted probability."""
    predicted = np.interp(scores, steps.scores, steps.probabilities)
    order = np.argsort(predicted, kind="stable")
    error = 0.0
    for group in np.array_split(order, 10):
        if len(group):
            error += len(group) / len(order) * abs(float(predicted[group].mean() - hits[group].mean()))
    return error
