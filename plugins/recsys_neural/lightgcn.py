"""LightGCN: vectors of people and items, smoothed along the graph of who chose what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from recsys_desktop.api import (
    CannotFit,
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
    choose_device,
    fitting_batch_size,
    seeded,
    shuffled_batches,
    train,
)
from recsys_neural.plugin import LIGHTGCN

_INITIAL_SPREAD = 0.1
_WORK_FOR_THREADS = 5e7
"""Products of one walk along all edges from which several threads gain more than they lose by being started."""


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
        n_users, n_edges = matrix.n_rows, len(matrix.indices)
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
            return _Adjacency(SparseRows(self._indptr, self._indices, data), None, self._threads)
        size = len(self._indptr) - 1
        edges = torch.from_numpy(self._edges).to(self._device)
        indptr, indices = (torch.from_numpy(array).to(self._device) for array in (self._indptr, self._indices))
        matrix = torch.sparse_csr_tensor(indptr, indices.long(), weights[edges], size=(size, size))
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
    """(x + Â x + ... + Â^layers x) / (layers + 1). Â is symmetric, so the gradient goes the same way."""

    @staticmethod
    def forward(ctx: Any, vectors: torch.Tensor, adjacency: _Adjacency, layers: int) -> torch.Tensor:
        ctx.adjacency, ctx.layers = adjacency, layers
        return _smoothed(vectors, adjacency, layers)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _smoothed(gradients[0].contiguous(), ctx.adjacency, ctx.layers), None, None


def _smoothed(vectors: torch.Tensor, adjacency: _Adjacency, layers: int) -> torch.Tensor:
    total, part = vectors, vectors
    for _ in range(layers):
        part = adjacency.times(part)
        total = total + part
    return total / (layers + 1)


class _Network(torch.nn.Module):
    """E⁰, a vector for each person and item, and the graph along which they are smoothed."""

    def __init__(self, nodes: int, factors: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        spread = torch.empty(nodes, factors).normal_(0, _INITIAL_SPREAD, generator=generator)
        self.vectors = torch.nn.Parameter(spread)
        self.dropout = SeededDropout(dropout)

    def forward(self, graph: _Graph, layers: int) -> torch.Tensor:
        """The smoothed vectors, float32 (nodes, factors)."""
        smoothed: Callable[..., torch.Tensor] = _Smoothed.apply
        return smoothed(self.vectors, graph.thinned(self.dropout), layers)


class LightGcn(Recommender):
    """LightGCN (He et al. 2020, equations 3 to 8): matrix factorisation whose vectors are averages over the graph.

        E^(k+1) = D^-1/2 A D^-1/2 E^(k)      e = (E⁰ + E¹ + ... + E^K) / (K + 1)      s(u, i) = e_u · e_i

    with A the graph of who chose what. E⁰ is learnt by Adam. The loss is, by `loss`,

        softmax   -Σ_u Σ_{i ∈ H_u} log softmax_i(e_u · e_i) over all items
        bpr       -Σ_u Σ_{i ∈ H_u} log σ(e_u · e_i - e_u · e_j), j an item drawn that u has not met (the paper's)

    The graph is walked once a step, and a step takes in all that many people chose, not some thousand pairs. Beyond the
    paper: the softmax, which ranks better here, and edges left out at random in training (as Wu et al., Self-supervised
    Graph Learning, SIGIR 2021, do).

    The layers above the first see a person only through their history, so that

        e_u = (E⁰_u + |H|^-1/2 Σ_{j ∈ H} c_j) / (K + 1),      c_j = d_j^-1/2 (E⁰_j + ... + E^(K-1)_j)

    A history that changed, or a stranger's (whose E⁰_u is 0), is folded in by this equation; the c_j stay. It also
    divides a score among the person's own vector and each item of the history, to the last digit.

    Fitted: float32 `own_vectors_` (n_users, factors), E⁰/(K + 1); `shares_` (n_items, factors), c/(K + 1); `vectors_`
    (n_items, factors), e.
    """

    spec = LIGHTGCN

    own_vectors_: Float32
    shares_: Float32
    vectors_: Float32

    def estimate(self, shape: DataShape) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; layers; the graph; one batch's logits."""
        params = self.params
        weights = (shape.n_users + shape.n_items) * params.factors
        batch = fitting_batch_size(params.batch_size, shape.n_users)
        pairs = 32 * batch / max(shape.n_users, 1) * shape.n_interactions * params.factors
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
        if matrix.nnz == 0:
            raise CannotFit(
                f"'lightgcn' has nothing to learn from: no rating reaches min_rating = {params.min_rating:g}"
            )
        rows = SparseRows.of(matrix)
        n_users, n_items = train_data.n_users, train_data.n_items
        counts = np.bincount(rows.indices, minlength=n_items)
        self.known_items_ = counts > 0
        self.known_users_ = np.diff(rows.indptr) > 0
        device = choose_device(run.device)
        if device.type == "mps":
            # Apple's device has no sparse products.
            device = torch.device("cpu")
        network = _Network(n_users + n_items, params.factors, params.edge_dropout, seeded(run, "weights")).to(device)
        walk = matrix.nnz * params.factors
        graph = _Graph(rows, n_items, device, run.threads if walk >= _WORK_FOR_THREADS else 1)
        present = torch.from_numpy(np.flatnonzero(self.known_items_)).to(device)
        places = torch.zeros(n_items, dtype=torch.int64, device=device)
        places[present] = torch.arange(len(present), device=device)
        people = np.flatnonzero(self.known_users_)
        owners_of_all = np.repeat(np.arange(n_users), np.diff(rows.indptr))
        sampler = NegativeSampler(owners_of_all, rows.indices, n_items) if params.loss == "bpr" else None
        batch_size = fitting_batch_size(params.batch_size, len(people))

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
            vectors = network(graph, params.layers)
            of_people, of_items = vectors[batch.people], vectors[n_users:]
            if batch.negatives is None:
                logits = of_people @ of_items[present].T
                chosen = functional.log_softmax(logits, dim=-1)[batch.owners, places[batch.items]]
                return BatchLoss(-chosen.sum() / len(batch.people), len(batch.people))
            there = batch.negatives >= 0
            margins = of_people[batch.owners] * (of_items[batch.items] - of_items[batch.negatives.clamp(min=0)])
            losses = functional.softplus(-margins.sum(-1)) * there
            return BatchLoss(losses.sum() / len(batch.people), len(batch.people))

        def validate() -> Validation | None:
            self._keep(network, graph, counts)
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
            key=train_data.fingerprint if run.checkpoints is not None else "",
        )
        self._keep(network, graph, counts)
        self.best_epoch_ = result.best_epoch or None

    def _keep(self, network: _Network, graph: _Graph, item_counts: npt.NDArray[Any]) -> None:
        """Take from the network in evaluation mode what answers need."""
        layers = self.params.layers
        n_users = len(network.vectors) - len(item_counts)
        with torch.no_grad():
            adjacency = graph.thinned(network.dropout)
            vectors = network.vectors.detach()
            below = _smoothed(vectors, adjacency, layers - 1) * (layers / (layers + 1)) if layers else vectors * 0
            own = (vectors / (layers + 1)).cpu().numpy()
            smoothed = _smoothed(vectors, adjacency, layers).cpu().numpy()
        self.own_vectors_ = own[:n_users].copy()
        self.shares_ = below.cpu().numpy()[n_users:] / np.sqrt(np.maximum(item_counts, 1), dtype=np.float32)[:, None]
        self.vectors_ = smoothed[n_users:].copy()

    def _history(self, query: Query) -> SparseRows:
        """|H|^-1/2 for each known item of each history H."""
        places = np.where(self.known_items_, np.arange(self.n_items, dtype=np.int32), np.int32(-1))
        chosen = SparseRows.of(query.matrix(self.n_items, "one", self.params.min_rating)).with_columns(places)
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
        return self._people(query) @ self.vectors_[chosen].T

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        history = self._history(query)
        wanted = self.vectors_[items]
        parts = (self.shares_[history.indices] * history.data[:, None]) @ wanted.T
        known = bool(self._known_people(query)[0])
        own = wanted @ self.own_vectors_[query.users[0]] if known else np.zeros(len(items), dtype=np.float32)
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.MODEL, float(own[column]), label="the person beside the history"),
                    *(
                        Contribution(Source.HISTORY, float(part), int(code))
                        for code, part in zip(history.indices.tolist(), parts[:, column], strict=True)
                    ),
                ],
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
