"""Losses over positions: softmax over all items or a sample of them, gBCE, and BCE against one negative.

All but the last compare each position with the same candidates. They are computed block by block together with their
gradients, so that logits are never held for more than one block of positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn import functional

BLOCK_VALUES = 1 << 20
"""Logits of one block, of 4 bytes each: as many as stay in the cache."""

Terms = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Candidates(NamedTuple):
    """Items that all positions of a batch are compared with.

    items: int64 (k,), different places in the table of item vectors. counts: float32 (k,), how often each was drawn.
    log_weights: float32 (k,), log(count / (draws · q)) with q the probability of a draw: what an item stands for.
    """

    items: torch.Tensor
    counts: torch.Tensor
    log_weights: torch.Tensor


def drawn_candidates(probabilities: torch.Tensor, draws: int, generator: torch.Generator) -> Candidates:
    """`draws` items drawn with replacement by their probabilities, float32 (n,) summing to 1; each is listed once."""
    cumulative = torch.cumsum(probabilities.double(), 0)
    points = torch.rand(draws, generator=generator, dtype=torch.float64, device=probabilities.device) * cumulative[-1]
    drawn = torch.searchsorted(cumulative, points).clamp(max=len(probabilities) - 1)
    items, counts = torch.unique(drawn, return_counts=True)
    return Candidates(items, counts.float(), (counts / (draws * probabilities[items])).log())


def softmax_loss(
    states: torch.Tensor,
    vectors: torch.Tensor,
    bias: torch.Tensor,
    targets: torch.Tensor,
    candidates: Candidates | None = None,
) -> torch.Tensor:
    """The mean cross-entropy of a softmax over all items, or an estimate of it by candidates.

    With s_i = state · vector_i + bias_i and y the target:

        loss = -log( exp s_y / Σ_i exp s_i ),   Σ_i exp s_i ≈ exp s_y + Σ_{c ≠ y} w_c exp s_c

    where w_c = count_c / (draws · q_c) makes the estimate of the sum unbiased: the logQ correction (Bengio and Senécal
    2008; with the target, which is always there, left uncorrected as in Khrylchenko et al. 2025).

    Parameters
    ----------
    states: float32 (n, d). vectors: float32 (n_items, d). bias: float32 (n_items,). targets: int64 (n,).
    """
    if candidates is None:
        return _loss(states, vectors, bias, targets, None, None, _softmax_terms)
    return _loss(states, vectors, bias, targets, candidates.items, candidates.log_weights, _softmax_terms)


def gbce_loss(
    states: torch.Tensor,
    vectors: torch.Tensor,
    bias: torch.Tensor,
    targets: torch.Tensor,
    candidates: Candidates,
    calibration: float,
) -> torch.Tensor:
    """The mean generalised binary cross-entropy (Petrov and Macdonald, gSASRec, RecSys 2023, equations 9 and 12).

    With k evenly drawn negatives among n items, α = k / (n - 1) and t the calibration:

        loss = -( β log σ(s_y) + Σ_c log(1 - σ(s_c)) ) / (k + 1),   β = α (t (1 - 1/α) + 1/α)

    t = 0 is the plain binary cross-entropy; t = 1 gives scores that are probabilities. Negatives are shared in the
    batch, those that are a position's target do not count there. Arguments as `softmax_loss`.
    """
    drawn = candidates.counts.sum()
    rate = drawn / max(len(vectors) - 1, 1)
    weight = float(rate * (calibration * (1 - 1 / rate) + 1 / rate))

    def terms(positive: torch.Tensor, negatives: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses = (functional.softplus(negatives) @ candidates.counts + weight * functional.softplus(-positive)) / (
            drawn + 1
        )
        negatives.sigmoid_().mul_(candidates.counts / (drawn + 1))
        return losses, -weight * torch.sigmoid(-positive) / (drawn + 1)

    return _loss(states, vectors, bias, targets, candidates.items, None, terms)


def bce_loss(
    states: torch.Tensor,
    vectors: torch.Tensor,
    bias: torch.Tensor,
    targets: torch.Tensor,
    negatives: torch.Tensor,
) -> torch.Tensor:
    """The mean binary cross-entropy of each target and one negative of its own (Kang and McAuley 2018, equation 7).

    negatives: int64 (n,). Further arguments as `softmax_loss`.
    """

    def logits(items: torch.Tensor) -> torch.Tensor:
        return (states * functional.embedding(items, vectors)).sum(-1) + bias[items]

    return (functional.softplus(-logits(targets)) + functional.softplus(logits(negatives))).mean()


def _softmax_terms(positive: torch.Tensor, negatives: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    top = torch.maximum(negatives.amax(1), positive)
    own = torch.exp(positive - top)
    total = negatives.sub_(top[:, None]).exp_().sum(1) + own
    negatives.mul_(1 / total[:, None])
    return total.log() + top - positive, own / total - 1


def _loss(
    states: torch.Tensor,
    vectors: torch.Tensor,
    bias: torch.Tensor,
    targets: torch.Tensor,
    candidates: torch.Tensor | None,
    offsets: torch.Tensor | None,
    terms: Terms,
) -> torch.Tensor:
    apply: Callable[..., torch.Tensor] = _CandidateLoss.apply
    return apply(states, vectors, bias, targets, candidates, offsets, terms)


class _CandidateLoss(torch.autograd.Function):
    """The mean loss of positions against candidates; its gradients are made in the forward pass, block by block.

    candidates: int64 (k,), or None for all items. offsets: float32 (k,), added to their logits, or None. terms: from
    the logit of the target (m,) and of the others (m, k), where the target's own is -inf: the loss of each position
    (m,) and its derivative by the first; the derivatives by the others overwrite them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        vectors: torch.Tensor,
        bias: torch.Tensor,
        targets: torch.Tensor,
        candidates: torch.Tensor | None,
        offsets: torch.Tensor | None,
        terms: Terms,
    ) -> torch.Tensor:
        table = vectors if candidates is None else vectors[candidates]
        added = bias if candidates is None else bias[candidates]
        if offsets is not None:
            added = added + offsets
        places = targets
        if candidates is not None:
            places = torch.full((len(vectors),), -1, dtype=torch.int64, device=targets.device)
            places[candidates] = torch.arange(len(candidates), device=targets.device)
            places = places[targets]
        total = torch.zeros((), device=states.device)
        to_states = torch.empty_like(states)
        to_table, to_added = torch.zeros_like(table), torch.zeros_like(added)
        slopes = torch.empty_like(states[:, 0])
        step = max(1, BLOCK_VALUES // max(len(table), 1))
        logits_memory = states.new_empty((min(step, len(states)), len(table)))
        for begin in range(0, len(states), step):
            block = slice(begin, begin + step)
            of_block = states[block]
            logits = torch.addmm(added, of_block, table.T, out=logits_memory[: len(of_block)])
            positive = (of_block * vectors[targets[block]]).sum(1) + bias[targets[block]]
            rows = torch.nonzero(places[block] >= 0)[:, 0]
            logits[rows, places[block][rows]] = -torch.inf
            losses, slopes[block] = terms(positive, logits)
            total += losses.sum()
            torch.mm(logits, table, out=to_states[block])
            to_table.addmm_(logits.T, of_block)
            to_added += logits.sum(0)
        to_states += slopes[:, None] * vectors[targets]
        to_vectors, to_bias = to_table, to_added
        if candidates is not None:
            to_vectors, to_bias = torch.zeros_like(vectors), torch.zeros_like(bias)
            to_vectors[candidates] = to_table
            to_bias[candidates] = to_added
        to_vectors.index_add_(0, targets, slopes[:, None] * states)
        to_bias.index_add_(0, targets, slopes)
        ctx.save_for_backward(to_states, to_vectors, to_bias)
        ctx.size = max(len(states), 1)
        mean: torch.Tensor = total / ctx.size
        return mean

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> Any:
        scale = slopes[0] / ctx.size
        to_states, to_vectors, to_bias = ctx.saved_tensors
        return to_states.mul_(scale), to_vectors.mul_(scale), to_bias.mul_(scale), None, None, None, None
