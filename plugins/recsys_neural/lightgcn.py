"""LightGCN: vectors of people and items, smoothed along the graph of who chose what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from recsys_desktop.api import (
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
    Validation,
)
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense
from recsys_desktop.toolkit.sampling import NegativeSampler
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    SeededDropout,
    TrainingSettings,
    adam,
    checkpoint_key,
    choose_device,
    fitting_batch_size,
    seeded,
    shuffled_batches,
    train,
)
from recsys_neural.plugin import LIGHTGCN

_INITIAL_SPREAD = 0.1
_FEWER_STEPS = 3
_WORK_FOR_THREADS = 5e7
"""Products of one walk along all edges from which several threads gain more than they lose by being started."""


def _people_a_step(largest: int, people: int) -> int:
    """Fewer steps than elsewhere for so many people, since each one walks the whole graph."""
    return fitting_batch_size(largest, _FEWER_STEPS * people)


class _Batch(NamedTuple):
    """What some people chose: owners int64 (n,) ascending from 0, items int64 (n,), people int64 (m,).

    negatives: int64 (n,), an item that the owner has not met for each interaction (-1: there is none), for BPR.
    """

    people: torch.Tensor
    owners: torch.Tensor
    items: torch.Tensor
    negatives: torch.Tensor | None

    def halves(self) -> list[_Batch]:
        """The first and the second half of the people; itself where there is one."""
        half = len(self.people) // 2
        if half == 0:
            return [self]
        cut = int((self.owners < half).sum())
        first, second = (None, None) if self.negatives is None else (self.negatives[:cut], self.negatives[cut:])
        return [
            _Batch(self.people[:half], self.owners[:cut], self.items[:cut], first),
            _Batch(self.people[half:], self.owners[cut:] - half, self.items[cut:], second),
        ]


class _Graph:
    """Â = D^-1/2 A D^-1/2 of the graph with an edge for each interaction; people are its first nodes, then items.

    Times vectors on the processor by a kernel that leaves the interpreter free, on CUDA by torch.
    """

    def __init__(self, matrix: SparseRows, n_items: int, device: torch.device, threads: int) -> None:
        self.n_users = n_users = matrix.n_rows
        n_edges = len(matrix.indices)
        counts = np.diff(matrix.indptr)
        item_counts = np.bincount(matrix.indices, minlength=n_items)
        scale = 1 / np.sqrt(np.maximum(np.concatenate((counts, item_counts)), 1))
        owners = np.repeat(np.arange(n_users, dtype=np.int32), counts)
        # Each edge is two entries of Â: of its person's row, in order, and of its item's.
        by_item = np.argsort(matrix.indices, kind="stable")
        self._edges: Int64 = np.concatenate((np.arange(n_edges), by_item))
        self._indptr: Int64 = np.concatenate((matrix.indptr, n_edges + np.cumsum(item_counts)))
        self._indices: Int32 = np.concatenate((matrix.indices + np.int32(n_users), owners[by_item]))
        weights = scale[owners] * scale[n_users + matrix.indices]
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)
        self._device, self._threads = device, threads

    def thinned(self, dropout: SeededDropout) -> _Adjacency:
        """Â, of which dropout leaves out edges in training, in both directions alike."""
        weights = dropout(self._weights)
        if self._device.type == "cpu":
            data = weights.numpy()[self._edges]
            rows = SparseRows(self._indptr, self._indices, data)
            if dropout.training and dropout.probability:
                kept = data != 0
                indptr = np.concatenate(([0], np.cumsum(kept)))[self._indptr]
                rows = SparseRows(indptr, self._indices[kept], data[kept])
            return _Adjacency(rows, None, self._threads)
        size = len(self._indptr) - 1
        bounds, columns, edges = (
            torch.from_numpy(array).to(self._device)
            for array in (self._indptr, self._indices.astype(np.int64), self._edges)
        )
        matrix = torch.sparse_csr_tensor(bounds, columns, weights[edges], size=(size, size))
        return _Adjacency(None, matrix, self._threads)


class _Adjacency(NamedTuple):
    rows: SparseRows | None
    matrix: torch.Tensor | None
    threads: int

    def times(self, vectors: torch.Tensor) -> torch.Tensor:
        """Â x, float32 (n, k)."""
        if self.rows is None:
            assert self.matrix is not None
            return self.matrix @ vectors
        return torch.from_numpy(sparse_times_dense(self.rows, vectors.detach().numpy(), self.threads))


class _Smoothed(torch.autograd.Function):
    """(x + Â x + ... + Â^layers x) / (layers + 1), people and items apart.

    Â is symmetric, so the gradient goes the same way.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: torch.Tensor, adjacency: _Adjacency, layers: int, n_users: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.adjacency, ctx.layers = adjacency, layers
        smoothed = _smoothed(vectors, adjacency, layers)
        return smoothed[:n_users].clone(), smoothed[n_users:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return _smoothed(torch.cat(gradients), ctx.adjacency, ctx.layers), None, None, None


def _smoothed(vectors: torch.Tensor, adjacency: _Adjacency, layers: int) -> torch.Tensor:
    total, part = vectors.clone(), vectors
    for _ in range(layers):
        part = adjacency.times(part)
        total += part
    return total.div_(layers + 1)


class _Network(torch.nn.Module):
    """E⁰, a vector for each person and item, and a bias for each item."""

    def __init__(self, n_users: int, n_items: int, factors: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        spread = torch.empty(n_users + n_items, factors).normal_(0, _INITIAL_SPREAD, generator=generator)
        self.vectors = torch.nn.Parameter(spread)
        self.item_bias = torch.nn.Parameter(torch.zeros(n_items))
        self.dropout = SeededDropout(dropout)

    def forward(self, graph: _Graph, layers: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The smoothed vectors of people and of items, float32 (n, factors) each."""
        smoothed: Callable[..., tuple[torch.Tensor, torch.Tensor]] = _Smoothed.apply
        return smoothed(self.vectors, graph.thinned(self.dropout), layers, graph.n_users)


class LightGcn(Recommender):
    """LightGCN (He et al. 2020, equations 3 to 8): matrix factorisation whose vectors are averages over the graph.

        E^(k+1) = D^-1/2 A D^-1/2 E^(k)      e = (E⁰ + E¹ + ... + E^K) / (K + 1)      s(u, i) = b_i + e_u · e_i

    with A the graph of who chose what. E⁰ is learnt by Adam. The loss is, by `loss`,

        softmax   -Σ_u Σ_{i ∈ H_u} log softmax_i(s(u, i)) over all items
        bpr       -Σ_u Σ_{i ∈ H_u} log σ(s(u, i) - s(u, j)), j an item drawn that u has not met (the paper's)

    The graph is walked once a step, and a step takes in all that many people chose, not some thousand pairs. Beyond the
    paper: the softmax; an item bias b, which begins at the logarithm of popularity, so that training begins where
    popularity ends; and edges left out at random in training (as Wu et al., Self-supervised Graph Learning, SIGIR 2021,
    do).

    The layers above the first see a person only through their history, so that

        e_u = (E⁰_u + |H|^-1/2 Σ_{j ∈ H} c_j) / (K + 1),      c_j = d_j^-1/2 (E⁰_j + ... + E^(K-1)_j)

    A history that changed, or a stranger's (whose E⁰_u is 0), is folded in by this equation; the c_j stay. It also
    divides a score among the bias, the person's own vector and each item of the history, to the last digit.

    Fitted: float32 `own_vectors_` (n_users, factors), E⁰/(K + 1); `shares_` (n_items, factors), c/(K + 1); `vectors_`
    (n_items, factors), e; `item_bias_` (n_items,), b.
    """

    spec = LIGHTGCN

    own_vectors_: Float32
    shares_: Float32
    vectors_: Float32
    item_bias_: Float32

    def estimate(self, shape: DataShape) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; layers; the graph; one batch's logits."""
        params = self.params
        weights = (shape.n_users + shape.n_items) * params.factors
        batch = _people_a_step(params.batch_size, shape.n_users)
        pairs = 44 * batch / max(shape.n_users, 1) * shape.n_interactions * params.factors
        logits = 16 * batch * shape.n_items if params.loss == "softmax" else pairs
        memory = 44 * weights + 80 * shape.n_interactions + logits
        steps = shape.n_users / max(batch, 1)
        walk = 4 * params.layers * shape.n_interactions * params.factors
        scores = 6 * batch * shape.n_items * params.factors if params.loss == "softmax" else 0
        seconds = params.epochs * steps * (walk / 2e9 + scores / 2e10 + weights * 4e-9)
        return Forecast(int(memory) + 4_000_000, 0.1 + seconds, cheaper="ials", note="for the most epochs it may train")

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params = self.params
        matrix = train_data.matrix("one", params.min_rating)
        counts = np.bincount(matrix.indices, minlength=train_data.n_items)
        self.known_items_ = counts > 0
        known = np.flatnonzero(self.known_items_)
        rows = SparseRows.of(matrix).with_columns(self._places())
        n_users, n_items = train_data.n_users, len(known)
        self.known_users_ = np.diff(rows.indptr) > 0
        device = choose_device(run.device)
        if device.type == "mps":
            # Apple's device has no sparse products.
            device = torch.device("cpu")
        network = _Network(n_users, n_items, params.factors, params.edge_dropout, seeded(run, "weights"))
        with torch.no_grad():
            network.item_bias.copy_(torch.from_numpy(np.log(counts[known] / counts.sum())))
        network.to(device)
        walk = matrix.nnz * params.factors
        graph = _Graph(rows, n_items, device, run.threads if walk >= _WORK_FOR_THREADS else 1)
        people = np.flatnonzero(self.known_users_)
        owners_of_all = np.repeat(np.arange(n_users), np.diff(rows.indptr))
        sampler = NegativeSampler(owners_of_all, rows.indices, n_items) if params.loss == "bpr" else None
        batch_size = _people_a_step(params.batch_size, len(people))

        def epoch_batches(generator: np.random.Generator) -> EpochBatches[_Batch]:
            def batch(chosen: Int64) -> _Batch:
                codes = people[chosen]
                part = rows.take(codes.astype(np.int32))
                owners = np.repeat(np.arange(len(chosen)), np.diff(part.indptr))
                drawn = None if sampler is None else sampler.draw(codes[owners], 1, generator)[:, 0]
                return _Batch(
                    torch.from_numpy(codes).to(device),
                    torch.from_numpy(owners).to(device),
                    torch.from_numpy(part.indices.astype(np.int64)).to(device),
                    None if drawn is None else torch.from_numpy(drawn).to(device),
                )

            steps = -(-len(people) // batch_size)
            return EpochBatches(
                steps, (batch(chosen) for chosen in shuffled_batches(len(people), batch_size, generator))
            )

        def loss(batch: _Batch) -> BatchLoss:
            of_all, of_items = network(graph, params.layers)
            of_people = functional.embedding(batch.people, of_all)
            if batch.negatives is None:
                chosen = functional.log_softmax(of_people @ of_items.T + network.item_bias, dim=-1)[
                    batch.owners, batch.items
                ]
                return BatchLoss(-chosen.sum() / len(batch.people), len(batch.people))
            there, drawn = batch.negatives >= 0, batch.negatives.clamp(min=0)
            margins = of_people[batch.owners] * (of_items[batch.items] - of_items[drawn])
            differences = margins.sum(-1) + network.item_bias[batch.items] - network.item_bias[drawn]
            losses = functional.softplus(-differences) * there
            return BatchLoss(losses.sum() / len(batch.people), len(batch.people))

        def validate() -> Validation | None:
            self._keep(network, graph, counts[known])
            return run.validate(self)

        settings = TrainingSettings(
            epochs=params.epochs,
            patience=params.patience,
            learning_rate=params.learning_rate,
            decays=True,
            threads=1,
        )
        optimizer = adam(network, params.learning_rate, params.weight_decay)
        result = train(
            network,
            optimizer,
            epoch_batches,
            loss,
            settings,
            run,
            validate,
            halves=_Batch.halves,
            key=checkpoint_key(self, train_data, run),
        )
        self._keep(network, graph, counts[known])
        self.best_epoch_ = result.best_epoch or None

    def _keep(self, network: _Network, graph: _Graph, item_counts: npt.NDArray[Any]) -> None:
        """Take from the network in evaluation mode what answers need."""
        layers = self.params.layers
        n_users = graph.n_users
        with torch.no_grad():
            adjacency = graph.thinned(network.dropout)
            vectors = network.vectors.detach()
            below = _smoothed(vectors, adjacency, layers - 1) * (layers / (layers + 1)) if layers else vectors * 0
            smoothed = _smoothed(vectors, adjacency, layers)[n_users:]
        self.own_vectors_ = (vectors[:n_users] / (layers + 1)).cpu().numpy()
        self.shares_ = self._of_all_items(below[n_users:].cpu().numpy() / np.sqrt(item_counts)[:, None])
        self.vectors_ = self._of_all_items(smoothed.cpu().numpy())
        self.item_bias_ = self._of_all_items(network.item_bias.detach().cpu().numpy()[:, None])[:, 0]

    def _of_all_items(self, of_known: npt.NDArray[Any]) -> Float32:
        """Rows of the items met in `fit` among those of all; 0 for the others."""
        out = np.zeros((self.n_items, of_known.shape[1]), dtype=np.float32)
        out[self.known_items_] = of_known
        return out

    def _places(self) -> Int32:
        """int32 (n_items,): position of each item among those met in `fit`, -1 for the others."""
        places = np.full(self.n_items, -1, dtype=np.int32)
        places[self.known_items_] = np.arange(int(self.known_items_.sum()), dtype=np.int32)
        return places

    def _history(self, query: Query) -> SparseRows:
        """|H|^-1/2 for each known item of each history H."""
        codes = np.where(self.known_items_, np.arange(self.n_items, dtype=np.int32), np.int32(-1))
        chosen = SparseRows.of(query.matrix(self.n_items, "one", self.params.min_rating)).with_columns(codes)
        lengths = np.diff(chosen.indptr)
        return chosen._replace(data=np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32))

    def _people(self, query: Query) -> Float32:
        """float32 (n, factors), e_u; NaN for strangers without a known item in their history."""
        history = self._history(query)
        vectors = sparse_times_dense(history, self.shares_)
        known = self._known_people(query)
        vectors[known] += self.own_vectors_[query.users[known]]
        vectors[~known & (np.diff(history.indptr) == 0)] = np.nan
        return vectors

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        chosen = slice(None) if items is None else items
        return self._people(query) @ self.vectors_[chosen].T + self.item_bias_[chosen]

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        history = self._history(query)
        wanted = self.vectors_[items]
        parts = (self.shares_[history.indices] * history.data[:, None]) @ wanted.T
        known = bool(self._known_people(query)[0])
        own = wanted @ self.own_vectors_[query.users[0]] if known else np.zeros(len(items), dtype=np.float32)
        level = float(self.item_bias_[self.known_items_].mean())
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.BIAS, float(self.item_bias_[item]) - level, label="how often it is chosen"),
                    Contribution(Source.MODEL, float(own[column]), label="the person beside the history"),
                    *(
                        Contribution(Source.HISTORY, float(part), int(code))
                        for code, part in zip(history.indices.tolist(), parts[:, column], strict=True)
                    ),
                ],
                base=level,
                additive=True,
                faithful_to_removal=False,
                method="the share of each item of the history in the person's vector, times the item's",
            )
            for column, (item, score) in enumerate(zip(items, scores, strict=True))
        ]

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors), the smoothed vectors; rows of items not met in `fit` are NaN."""
        self._require_fitted()
        return np.where(self.known_items_[:, None], self.vectors_, np.float32(np.nan))

    def check_state(self) -> None:
        super().check_state()
        width = self.params.factors
        require_array("own_vectors_", self.own_vectors_, (self.n_users or None, width), np.float32)
        require_array("shares_", self.shares_, (self.n_items, width), np.float32)
        require_array("vectors_", self.vectors_, (self.n_items, width), np.float32)
        require_array("item_bias_", self.item_bias_, (self.n_items,), np.float32)
