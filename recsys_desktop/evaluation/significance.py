"""How sure a figure is: bootstrap intervals over users, paired differences between models, correction for many models.

Users, not interactions, are resampled: what one person does is not independent. Sources: Efron and Tibshirani, An
Introduction to the Bootstrap (1993), chapters 13 and 16; Sakai, Evaluating evaluation metrics based on the bootstrap,
SIGIR (2006); Holm, A simple sequentially rejective multiple test procedure (1979).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import InvalidData

Float64: TypeAlias = npt.NDArray[np.float64]

RESAMPLES = 2000
_DRAWS_AT_ONCE = 2_000_000


class Interval(NamedTuple):
    """A figure with its interval; low and high are NaN where fewer than two users have a value."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """How much one model is above another, over the same users.

    value: mean of the paired differences. low, high: its percentile interval. p_value: two-sided, of no difference.
    effect_size: mean over standard deviation of the paired differences (Cohen's d_z); 0 where no user differs.
    n_users: users that have a value from both.
    """

    value: float
    low: float
    high: float
    p_value: float
    effect_size: float
    n_users: int


def _no_check() -> None:
    """Let everything run to its end."""


def resampled_means(
    values: Float64, resamples: int = RESAMPLES, seed: int = 0, check: Callable[[], None] = _no_check
) -> Float64:
    """Means over users drawn with replacement, the same draws for every column.

    values: float64 (n, m), n users by m figures, finite. Returns float64 (resamples, m). The same n, resamples and seed
    give the same draws, so results of separate calls are paired too. check: called before each block of draws; what it
    raises ends them.
    """
    n = len(values)
    out = np.empty((resamples, values.shape[1]))
    generator = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // max(n, 1))
    for begin in range(0, resamples, step):
        check()
        size = min(step, resamples - begin)
        drawn = generator.integers(n, size=(size, n), dtype=np.int32).astype(np.int64)
        drawn += np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        out[begin : begin + size] = times @ values / n
    return out


def bootstrap_interval(
    values: npt.NDArray[Any],
    weights: npt.NDArray[Any] | None = None,
    transform: Callable[[Any], Any] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    check: Callable[[], None] = _no_check,
) -> Interval:
    """Percentile interval of the mean over users.

    values: float (n,), one figure a user; users with NaN take no part. weights: float (n,), makes it the weighted mean
    Σ w v / Σ w. transform: applied to that mean. The RMSE over all pairs has values = mean squared error of each user,
    weights = their pairs, transform = np.sqrt. check: as `resampled_means`.

    Raises
    ------
    InvalidData: weights has another length, or level is not between 0 and 1.
    """
    kept = ~np.isnan(values)
    figures = np.asarray(values, dtype=np.float64)[kept]
    if weights is None:
        share = np.ones(len(figures))
    elif len(weights) != len(values):
        raise InvalidData(f"there are {len(weights)} weights for {len(values)} users")
    else:
        share = np.asarray(weights, dtype=np.float64)[kept]
    quantiles = _quantiles(level)
    if not len(figures):
        return Interval(float("nan"), float("nan"), float("nan"))
    change = transform if transform is not None else np.asarray
    value = float(change(figures @ share / share.sum()))
    if len(figures) < 2:
        return Interval(value, float("nan"), float("nan"))
    means = resampled_means(np.column_stack((figures * share, share)), resamples, seed, check)
    low, high = np.quantile(change(means[:, 0] / means[:, 1]), quantiles)
    return Interval(value, float(low), float(high))


def bootstrap_intervals(
    figures: Mapping[str, npt.NDArray[Any]],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    check: Callable[[], None] = _no_check,
) -> dict[str, Interval]:
    """Percentile intervals of the means of several figures of the same users, by name, in the order given.

    figures: float (n,) each, as the values of `bootstrap_interval`, whose interval each has; resamples are drawn once
    for all figures that the same users have. check: as `resampled_means`.

    Raises
    ------
    InvalidData: level is not between 0 and 1.
    """
    quantiles = _quantiles(level)
    nan = float("nan")
    found = dict.fromkeys(figures, Interval(nan, nan, nan))
    for names, values in _of_the_same_users(figures):
        means = resampled_means(values, resamples, seed, check) if len(values) > 1 else None
        for column, name in enumerate(names):
            low, high = (nan, nan) if means is None else np.quantile(means[:, column], quantiles)
            found[name] = Interval(float(values[:, column].mean()), float(low), float(high))
    return found


def _quantiles(level: float) -> list[float]:
    if not 0 < level < 1:
        raise InvalidData(f"the level of an interval lies between 0 and 1, not at {level}")
    return [(1 - level) / 2, (1 + level) / 2]


def _of_the_same_users(vectors: Mapping[str, npt.NDArray[Any]]) -> list[tuple[list[str], Float64]]:
    """Vectors by who has a value: names, and float64 (users with a value, names); those that nobody has are left out.

    vectors: float (n,) each, NaN for users without a value.
    """
    groups: dict[bytes, list[str]] = {}
    for name, values in vectors.items():
        groups.setdefault(np.isnan(values).tobytes(), []).append(name)
    found = []
    for names in groups.values():
        kept = ~np.isnan(vectors[names[0]])
        if kept.any():
            found.append((names, np.column_stack([np.asarray(vectors[name], np.float64)[kept] for name in names])))
    return found


def paired_difference(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """How much `first` is above `second`; both float (n,), one figure for each of the same users, NaN pairs left out.

    The p-value is twice the smaller share of resampled differences on one side of 0, each share with one resample added
    to it (Davison and Hinkley, Bootstrap Methods and their Application (1997), section 4.4), at most 1. One user proves
    nothing (1), and nobody is no comparison (NaN).

    Raises
    ------
    InvalidData: the vectors have different lengths.
    """
    return _paired_differences(first, {"second": second}, level, resamples, seed, _no_check)["second"]


def _paired_differences(
    first: npt.NDArray[Any],
    others: Mapping[str, npt.NDArray[Any]],
    level: float,
    resamples: int,
    seed: int,
    check: Callable[[], None],
) -> dict[str, Difference]:
    """`paired_difference` of `first` with each of the others; resamples are drawn once for the same users."""
    for second in others.values():
        if len(first) != len(second):
            raise InvalidData(f"{len(first)} and {len(second)} users cannot be paired")
    nan = float("nan")
    found = dict.fromkeys(others, Difference(nan, nan, nan, nan, nan, 0))
    differences = {name: np.asarray(first, dtype=np.float64) - second for name, second in others.items()}
    for names, values in _of_the_same_users(differences):
        means = resampled_means(values, resamples, seed, check) if len(values) > 1 else None
        for column, name in enumerate(names):
            found[name] = _difference(values[:, column], None if means is None else means[:, column], level)
    return found


def _difference(differences: Float64, means: Float64 | None, level: float) -> Difference:
    """What the paired differences of at least one user and their resampled means (None for one user) say."""
    value, nan = float(differences.mean()), float("nan")
    if means is None:
        return Difference(value, nan, nan, 1.0, nan, 1)
    low, high = np.quantile(means, _quantiles(level))
    below, above = int((means <= 0).sum()), int((means >= 0).sum())
    p_value = min(1.0, 2 * (min(below, above) + 1) / (len(means) + 1))
    spread = float(differences.std(ddof=1))
    effect = value / spread if spread > 0 else float(np.sign(value)) * float("inf") if value else 0.0
    return Difference(value, float(low), float(high), p_value, effect, len(differences))


def holm(p_values: npt.NDArray[Any]) -> Float64:
    """Holm's step-down adjustment: p-values that may be compared with one level, float64 (m,) in given order."""
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    out = np.empty(len(raw))
    out[order] = np.minimum(steps, 1.0)
    return out


class Against(NamedTuple):
    """One model against the best: `best` minus the model, its p-value after Holm's correction, and the verdict.

    indistinguishable: the corrected p-value does not rule out that they are equal.
    """

    difference: Difference
    corrected_p_value: float
    indistinguishable: bool


def best_model(vectors: Mapping[str, npt.NDArray[Any]], larger_is_better: bool = True) -> str:
    """The model with the best mean over users; the first where several share it, "" where none has a figure."""
    sign = 1.0 if larger_is_better else -1.0
    best, best_mean = "", -np.inf
    for name, values in vectors.items():
        judged = values[~np.isnan(values)]
        if len(judged) and (mean := sign * float(judged.mean())) > best_mean:
            best, best_mean = name, mean
    return best


def against_best(
    vectors: Mapping[str, npt.NDArray[Any]],
    larger_is_better: bool = True,
    *,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    seed: int = 0,
    check: Callable[[], None] = _no_check,
) -> dict[str, Against]:
    """Every other model against the best one, corrected together.

    vectors: model name -> float (n,), one figure for each of the same users; a model that shares no user with the best
    is left out.
    alpha: the level of the verdict. check: as `resampled_means`.
    """
    best = best_model(vectors, larger_is_better)
    others = {name: values for name, values in vectors.items() if name != best}
    if not best:
        return {}
    found = _paired_differences(vectors[best], others, 1 - alpha, resamples, seed, check)
    compared = [(name, difference) for name, difference in found.items() if difference.n_users]
    corrected = holm(np.array([difference.p_value for _, difference in compared]))
    return {
        name: Against(difference, float(p_value), bool(p_value > alpha))
        for (name, difference), p_value in zip(compared, corrected, strict=True)
    }


def indistinguishable_from_best(
    vectors: Mapping[str, npt.NDArray[Any]],
    larger_is_better: bool = True,
    *,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    seed: int = 0,
    check: Callable[[], None] = _no_check,
) -> list[str]:
    """The best model and those that cannot be told from it, in the order given. Arguments as `against_best`."""
    best = best_model(vectors, larger_is_better)
    verdicts = against_best(vectors, larger_is_better, alpha=alpha, resamples=resamples, seed=seed, check=check)
    return [name for name in vectors if name == best or (name in verdicts and verdicts[name].indistinguishable)]
