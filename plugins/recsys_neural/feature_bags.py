"""Weighted bags of feature vectors: the sums and squared lengths that a factorisation machine needs, with gradients.

On the processor compiled kernels do both in one pass; elsewhere torch's own operations do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import torch
from torch.nn import functional


class FeatureBags(NamedTuple):
    """n * F bags over the features of one side, those of an entity one after the other.

    features: int64 (entries,). values: float32 (entries,). offsets: int64 (n * F + 1,). fields: F.
    """

    features: torch.Tensor
    values: torch.Tensor
    offsets: torch.Tensor
    fields: int


def sums_and_squares(table: torch.Tensor, bags: FeatureBags) -> tuple[torch.Tensor, torch.Tensor]:
    """What bags of rows (w, v) come to: Σ_j x_j (w_j, v_j) of each bag, and Σ_j ‖x_j v_j‖² over those of an entity.

    table: float32 (n_features, 1 + factors), in every row a weight w and a vector v. Gives (n, F, 1 + factors), (n,).
    """
    if table.device.type == "cpu":
        sums, squares = _CompiledBags.apply(table, *bags)  # type: ignore[no-untyped-call]
    else:
        sums, squares = composed_sums_and_squares(table, bags)
    return sums.view(-1, bags.fields, table.shape[1]), squares


def composed_sums_and_squares(table: torch.Tensor, bags: FeatureBags) -> tuple[torch.Tensor, torch.Tensor]:
    """As `sums_and_squares`, of torch's operations: (n * F, 1 + factors) and (n,)."""
    features, values, offsets, fields = bags
    sums = functional.embedding_bag(
        features, table, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )
    lengths = table[:, 1:].square().sum(1, keepdim=True)
    squares = functional.embedding_bag(
        features, lengths, offsets[::fields], mode="sum", per_sample_weights=values.square(), include_last_offset=True
    )
    return sums, squares[:, 0]


class _CompiledBags(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, table: torch.Tensor, features: torch.Tensor, values: torch.Tensor, offsets: torch.Tensor, fields: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(table, features, values, offsets)
        ctx.fields = fields
        bags = len(offsets) - 1
        sums, squares = table.new_zeros(bags, table.shape[1]), table.new_zeros(bags // fields)
        rows, codes, weights, bounds = _arrays(table.detach(), features, values, offsets)
        _add_up(rows, codes, weights, bounds, fields, sums.numpy(), squares.numpy())
        return sums, squares

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        table, features, values, offsets = ctx.saved_tensors
        of_table = torch.zeros_like(table)
        rows, codes, weights, bounds = _arrays(table.detach(), features, values, offsets)
        of_sums, of_squares = _arrays(*(gradient.contiguous() for gradient in gradients))
        _spread_out(rows, codes, weights, bounds, ctx.fields, of_sums, of_squares, of_table.numpy())
        return of_table, None, None, None, None


def _arrays(*tensors: torch.Tensor) -> Any:
    return [tensor.numpy() for tensor in tensors]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _add_up(table: Any, features: Any, values: Any, offsets: Any, fields: int, sums: Any, squares: Any) -> None:
    width = table.shape[1]
    for bag in range(len(offsets) - 1):
        target = sums[bag]
        for at in range(offsets[bag], offsets[bag + 1]):
            row, value = table[features[at]], values[at]
            square = row[0] * 0
            target[0] += value * row[0]
            for column in range(1, width):
                term = value * row[column]
                target[column] += term
                square += term * term
            squares[bag // fields] += square


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _spread_out(
    table: Any, features: Any, values: Any, offsets: Any, fields: int, of_sums: Any, of_squares: Any, of_table: Any
) -> None:
    width = table.shape[1]
    for bag in range(len(offsets) - 1):
        source = of_sums[bag]
        of_square = of_squares[bag // fields]
        for at in range(offsets[bag], offsets[bag + 1]):
            value = values[at]
            row, target = table[features[at]], of_table[features[at]]
            doubled = 2 * value * value * of_square
            target[0] += value * source[0]
            for column in range(1, width):
                target[column] += value * source[column] + doubled * row[column]
