"""The network of the factorisation machine and of DeepFM: what each side is computed to once, then every pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from recsys_desktop.api.dataset import Int64
from recsys_desktop.toolkit.torch_training import SeededDropout
from recsys_neural.feature_bags import FeatureBags, sums_and_squares
from recsys_neural.interaction_sides import Side

_INITIAL_LENGTH = 0.1
_FIRST_SHARE_OF_TOWER = 0.1
"""How loud the tower is at first: training begins near the factorisation machine alone, which overfits less."""


class EntityBags(NamedTuple):
    """The entities of one side that a batch is about: their bags, and the entity of each place in the batch.

    places: int64, of any shape, from 0 to the number of entities.
    """

    bags: FeatureBags
    places: torch.Tensor

    @classmethod
    def of(cls, side: Side, codes: Int64, device: torch.device | str) -> EntityBags:
        """The bags of the entities that occur in `codes` (int64, of any shape)."""
        present = np.zeros(side.n_entities, dtype=np.bool_)
        present[codes] = True
        entities = np.flatnonzero(present)
        place = np.empty(side.n_entities, dtype=np.int64)
        place[entities] = np.arange(len(entities))
        rows = side.take(entities)
        features, values, offsets, places = (
            torch.from_numpy(array).to(device)
            for array in (rows.indices.astype(np.int64), rows.data, rows.indptr, place[codes])
        )
        return cls(FeatureBags(features, values, offsets, len(side.fields)), places)


class Represented(NamedTuple):
    """What the n entities of one side come to.

    own: (n,), their weights and the products of their own features with each other. vectors: (n, factors), the sum of
    their features' vectors. squares: (n,), the sum of the squared lengths of these. first: (n, width), what they add to
    the first layer; (n, 0) without layers.
    """

    own: torch.Tensor
    vectors: torch.Tensor
    squares: torch.Tensor
    first: torch.Tensor

    def at(self, places: torch.Tensor) -> Represented:
        """The entities at these places (int64, of any shape): every part with the shape of `places` before its own."""
        joined = torch.cat((self.own[:, None], self.squares[:, None], self.vectors, self.first), dim=1)
        widths = [1, 1, self.vectors.shape[1], self.first.shape[1]]
        own, squares, vectors, first = torch.split(functional.embedding(places, joined), widths, dim=-1)
        return Represented(own[..., 0], vectors, squares[..., 0], first)


class FactorizationNetwork(torch.nn.Module):
    """s(x) = w_0 + Σ_j w_j x_j + Σ_{j<k} v_j·v_k x_j x_k + tower(x), the tower over the same vectors v.

    The features x of an interaction are those of its sides. With V_s = Σ_{j in s} x_j v_j for each side s, the sum over
    pairs is, within a side, (‖V_s‖² - Σ_j ‖x_j v_j‖²) / 2 (Rendle 2010, lemma 3.1) and V_s·V_t between two: so each
    entity is computed once in a batch, and a pair is one product. The tower's first layer is linear in the sum over
    each field, so it too is computed once for each entity.

    tables: for each side (n_features, 1 + factors), the weights w and the vectors v. first: for each side
    (fields * factors, width).
    """

    def __init__(
        self,
        sides: Sequence[Side],
        factors: int,
        layers: Sequence[int],
        dropout: float,
        layer_dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()

        def spread(*shape: int, deviation: float) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(shape).normal_(0, deviation, generator=generator))

        self.constant = torch.nn.Parameter(torch.zeros(()))
        self.tables = torch.nn.ParameterList(
            spread(side.n_features, 1 + factors, deviation=_INITIAL_LENGTH / factors**0.5) for side in sides
        )
        self.widths = [len(side.fields) for side in sides]
        self.dropout = SeededDropout(dropout)
        self.has_tower = bool(layers)
        if self.has_tower:
            inputs = sum(self.widths) * factors
            self.first = torch.nn.ParameterList(
                spread(width * factors, layers[0], deviation=(2 / inputs) ** 0.5) for width in self.widths
            )
            self.kernels = torch.nn.ParameterList(
                spread(after, before, deviation=(2 / before) ** 0.5) for before, after in pairwise([*layers, 1])
            )
            self.offsets = torch.nn.ParameterList(torch.nn.Parameter(torch.zeros(width)) for width in layers)
            self.layer_dropout = SeededDropout(layer_dropout)
        with torch.no_grad():
            for table in self.tables:
                table[:, 0] = 0
            if self.has_tower:
                self.kernels[-1].mul_(_FIRST_SHARE_OF_TOWER)

    def represent(self, side: int, bags: FeatureBags) -> Represented:
        """The entities of one side."""
        summed, squares = sums_and_squares(self.tables[side], bags)
        weights, by_field = torch.split(summed, [1, summed.shape[2] - 1], dim=2)
        vectors = by_field.sum(1)
        own = weights.sum((1, 2)) + 0.5 * (vectors.square().sum(1) - squares)
        fields = by_field.reshape(len(by_field), -1)
        first = fields @ self.first[side] if self.has_tower else fields[:, :0]
        return Represented(own, vectors, squares, first)

    def forward(self, batch: Sequence[EntityBags]) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (m, c) of m people with c items each, and the mean squared length of all vectors in a pair ().

        batch: the bags of each side; items last with (m, c) places, the others with m.
        """
        *others, items = (self.represent(side, part.bags).at(part.places) for side, part in enumerate(batch))
        people = others[0]
        squares = people.squares.mean() + items.squares.mean()
        for other in others[1:]:
            squares = squares + other.squares.mean()
            people = Represented(
                people.own + other.own + (people.vectors * other.vectors).sum(-1),
                people.vectors + other.vectors,
                people.squares,
                people.first + other.first,
            )
        products = self.dropout(items.vectors * people.vectors[:, None])
        scores = self.constant + people.own[:, None] + items.own + products.sum(-1)
        if self.has_tower:
            scores = scores + self._tower(people.first[:, None] + items.first)
        return scores, squares

    def _tower(self, values: torch.Tensor) -> torch.Tensor:
        """Sums of the first layer (..., width): the tower's output (...)."""
        for offset, kernel in zip(self.offsets, self.kernels, strict=True):
            values = self.layer_dropout(torch.relu(values + offset)) @ kernel.T
        return values[..., 0]
