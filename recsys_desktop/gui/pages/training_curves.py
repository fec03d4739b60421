"""From what a training run logged to the lines of its plots. No Qt in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recsys_desktop.gui.mailbox import LoggedStep

_SMALLER_IS_BETTER = ("loss", "rmse", "mae", "error")


@dataclass(frozen=True)
class Curve:
    """Values of one logged name over the steps of a run, in order of the steps."""

    name: str
    steps: np.ndarray
    values: np.ndarray

    @property
    def larger_is_better(self) -> bool:
        """Whether the best value is the largest."""
        return not any(word in self.name.lower() for word in _SMALLER_IS_BETTER)

    @property
    def best(self) -> int | None:
        """The position of the best value, or None when there is none."""
        finite = np.isfinite(self.values)
        if not finite.any():
            return None
        values = np.where(finite, self.values, -np.inf if self.larger_is_better else np.inf)
        return int(values.argmax() if self.larger_is_better else values.argmin())


def curves(entries: Iterable[LoggedStep]) -> list[Curve]:
    """Return one curve per logged name of the first phase that logged it.

    A run that validates is followed by a refit on all data, which logs the same names again; that part is left out, so
    that a curve never runs twice over the same steps.
    """
    phases: dict[str, str] = {}
    found: dict[str, dict[int, float]] = {}
    for entry in entries:
        for name, value in entry.values.items():
            if phases.setdefault(name, entry.phase) == entry.phase:
                found.setdefault(name, {})[entry.step] = value
    result = []
    for name, points in found.items():
        steps = sorted(points)
        result.append(Curve(name, np.array(steps, dtype=np.float64), np.array([points[step] for step in steps])))
    return result


def losses(found: Sequence[Curve]) -> list[Curve]:
    """Return the curves that belong on the plot of losses."""
    return [curve for curve in found if "loss" in curve.name.lower()]


def validations(found: Sequence[Curve]) -> list[Curve]:
    """Return the curves of figures on held-out data."""
    names = ("ndcg", "recall", "precision", "rmse", "mae", "validation", "hit", "map", "mrr", "auc")
    return [
        curve
        for curve in found
        if "loss" not in curve.name.lower() and any(word in curve.name.lower() for word in names)
    ]


def readable(name: str) -> str:
    """Write a logged name for people: ``ndcg@10`` as ``NDCG@10``, ``training_loss`` as ``training loss``."""
    words = name.replace("_", " ")
    head = words.split("@")[0]
    return words.upper() if head.lower() in {"ndcg", "rmse", "mae", "map", "mrr", "auc"} else words
