"""What a factorisation machine learns from in each of its modes: examples, mini-batches of them, and their losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from recsys_desktop.api import CannotFit, Dataset
from recsys_desktop.api.dataset import Float32, Int64
from recsys_desktop.toolkit.sampling import NegativeSampler
from recsys_desktop.toolkit.torch_training import EpochBatches, shuffled_batches
from recsys_neural.interaction_sides import UNKNOWN_MOMENT, moment_codes

_HIDDEN_MOMENTS = 0.5
"""The share of examples whose moment is not told, so that what holds at any time is learnt too."""

ExampleLosses = Callable[["PairBatch", torch.Tensor], torch.Tensor]


class PairBatch(NamedTuple):
    """m people with c items each, as codes.

    people: int64 (m,). moments: int64 (m,), or None. items: int64 (m, c), the chosen one first where others are drawn.
    targets: float32 (m,), or None where they are drawn. corrections: float32 (m, c), the logarithm of how much more
    often than evenly an item is drawn, minus infinity where a person has met every item; None where nothing is drawn.
    """

    people: torch.Tensor
    moments: torch.Tensor | None
    items: torch.Tensor
    targets: torch.Tensor | None
    corrections: torch.Tensor | None


class Examples:
    """Interactions to learn from.

    Parameters
    ----------
    chosen: the interactions. targets: float32 (len(chosen),), what the scores shall come to, or None: then `negatives`
        items that the person has not met in `met` are drawn for each interaction, item i with a probability in
        proportion to (its interactions in `met`) ^ `exponent`.
    tells_moments: whether when they happened matters.
    """

    def __init__(
        self,
        chosen: Dataset,
        targets: Float32 | None,
        *,
        met: Dataset,
        negatives: int,
        exponent: float,
        tells_moments: bool,
    ) -> None:
        if len(chosen) == 0:
            raise CannotFit("there is nothing to learn from: no rating reaches min_rating")
        self._users: Int64 = chosen.users.astype(np.int64)
        self._items: Int64 = chosen.items.astype(np.int64)
        self.chosen = chosen
        self.targets = targets
        self._negatives = negatives
        self._sampler = None
        if targets is None:
            self._sampler = NegativeSampler(met.users, met.items, met.n_items, exponent)
        self._moments: Int64 | None = None
        if tells_moments and chosen.timestamps is not None:
            self._moments = moment_codes(chosen.timestamps)

    @property
    def pairs_each(self) -> int:
        """The pairs of a person and an item that an example is about: its own, and those with drawn items."""
        return 1 if self._sampler is None else 1 + self._negatives

    def __len__(self) -> int:
        return len(self._users)

    def batches(self, size: int, device: torch.device, generator: np.random.Generator) -> EpochBatches[PairBatch]:
        """One epoch of mini-batches of at most `size` examples, in random order."""
        steps = -(-len(self) // size)
        return EpochBatches(
            steps, (self._batch(rows, device, generator) for rows in shuffled_batches(len(self), size, generator))
        )

    def _batch(self, rows: Int64, device: torch.device, generator: np.random.Generator) -> PairBatch:
        def moved(array: Int64 | Float32 | None) -> torch.Tensor | None:
            return None if array is None else torch.from_numpy(array).to(device)

        users, items, corrections = self._users[rows], self._items[rows, None], None
        if self._sampler is not None:
            items = np.concatenate((items, self._sampler.draw(users, self._negatives, generator)), axis=1)
            corrections = self._sampler.log_probabilities[items]
            # An item at infinite odds of being drawn says nothing.
            corrections[items < 0] = np.inf
            items = np.maximum(items, 0)
        moments = None
        if self._moments is not None:
            hidden = generator.random(len(rows)) < _HIDDEN_MOMENTS
            moments = np.where(hidden, UNKNOWN_MOMENT, self._moments[rows])
        return PairBatch(
            torch.from_numpy(users),
            None if moments is None else torch.from_numpy(moments),
            torch.from_numpy(items),
            moved(None if self.targets is None else self.targets[rows]),
            moved(corrections),
        )


def squared_error(batch: PairBatch, scores: torch.Tensor) -> torch.Tensor:
    """(s - target)² of each example: (m,)."""
    assert batch.targets is not None
    return (scores[:, 0] - batch.targets).square()


def judged_clicks(batch: PairBatch, scores: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of σ(s) with the targets 0 and 1: (m,)."""
    assert batch.targets is not None
    return functional.binary_cross_entropy_with_logits(scores[:, 0], batch.targets, reduction="none")


def drawn_clicks(batch: PairBatch, scores: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the chosen item with 1 and the drawn ones with 0, together: (m,).

    Scores are corrected for how items are drawn, so that they are log-odds against an item drawn evenly (Yi et al.,
    Sampling-Bias-Corrected Neural Modeling, RecSys 2019).
    """
    logits = _corrected(batch, scores)
    return functional.softplus(-logits[:, 0]) + functional.softplus(logits[:, 1:]).sum(1)


def pairwise_ranking(batch: PairBatch, scores: torch.Tensor) -> torch.Tensor:
    """BPR: -log σ(s_chosen - s_drawn), averaged over the drawn items (Rendle et al. 2009): (m,)."""
    logits = _corrected(batch, scores)
    return functional.softplus(logits[:, 1:] - logits[:, :1]).mean(1)


def sampled_softmax(batch: PairBatch, scores: torch.Tensor) -> torch.Tensor:
    """-log of the chosen item's share of the softmax over it and the drawn ones, corrected as `drawn_clicks`: (m,)."""
    logits = _corrected(batch, scores)
    return -functional.log_softmax(logits, dim=1)[:, 0]


def _corrected(batch: PairBatch, scores: torch.Tensor) -> torch.Tensor:
    assert batch.corrections is not None
    return scores - batch.corrections
