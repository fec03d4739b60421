"""NeuralCF: generalised matrix factorisation, a tower of layers, or both, trained against sampled negatives."""

from __future__ import annotations

from itertools import pairwise
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
from recsys_desktop.toolkit.sampling import NegativeSampler
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    SeededDropout,
    TrainingSettings,
    adam,
    arrays_of,
    choose_device,
    fitting_batch_size,
    halves_by_rows,
    seeded,
    shuffled_batches,
    train,
)
from recsys_neural.plugin import NEURAL_CF

_INITIAL_SPREAD = 0.03
_SCORE_BLOCK = 2_000_000


class _Batch(NamedTuple):
    """users: int64 (m,). items: int64 (m, 1 + negatives), the positive first. present: bool of that shape, or None."""

    users: torch.Tensor
    items: torch.Tensor
    present: torch.Tensor | None


class _Network(torch.nn.Module):
    """score(u, i) = b_i + Σ_d h_d p_ud q_id + wᵀ tower([p'_u; q'_i]); either sum may be absent."""

    def __init__(self, n_users: int, n_items: int, params: Any, generator: torch.Generator) -> None:
        super().__init__()

        def spread(*shape: int, deviation: float = _INITIAL_SPREAD) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(shape).normal_(0, deviation, generator=generator))

        self.item_bias = torch.nn.Parameter(torch.zeros(n_items))
        self.has_product = params.method in ("gmf", "neumf")
        self.has_tower = params.method in ("mlp", "neumf")
        if self.has_product:
            self.user_factors = spread(n_users, params.factors)
            self.item_factors = spread(n_items, params.factors)
            self.factor_weights = torch.nn.Parameter(torch.ones(params.factors))
            self.product_dropout = SeededDropout(params.vector_dropout)
        if self.has_tower:
            width = params.factors
            self.tower_users = spread(n_users, width)
            self.tower_items = spread(n_items, width)
            sizes = [2 * width, *params.layers, 1]
            self.kernels = torch.nn.ParameterList(
                spread(after, before, deviation=(2 / before) ** 0.5) for before, after in pairwise(sizes)
            )
            self.offsets = torch.nn.ParameterList(torch.nn.Parameter(torch.zeros(after)) for after in sizes[1:-1])
            self.tower_dropout = SeededDropout(params.layer_dropout)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """users int64 (m,), items int64 (m, k): scores (m, k)."""
        scores = self.item_bias.index_select(0, items.reshape(-1)).view(items.shape)
        if self.has_product:
            weighted = functional.embedding(users, self.user_factors) * self.factor_weights
            weighted = self.product_dropout(weighted)
            scores = scores + (functional.embedding(items, self.item_factors) * weighted[:, None]).sum(-1)
        if self.has_tower:
            of_users, of_items = (
                functional.embedding(users, self.tower_users),
                functional.embedding(items, self.tower_items),
            )
            first, width = self.kernels[0], self.tower_users.shape[1]
            values = (of_users @ first[:, :width].T)[:, None] + of_items @ first[:, width:].T
            for offset, kernel in zip(self.offsets, [*self.kernels][1:], strict=True):
                values = self.tower_dropout(torch.relu(values + offset)) @ kernel.T
            scores = scores + values[..., 0]
        return scores


class NeuralCf(Recommender):
    """Neural collaborative filtering (He et al. 2017, equations 7 to 12), with ids of users and items as input.

        gmf     s(u, i) = b_i + Σ_d h_d p_ud q_id
        mlp     s(u, i) = b_i + wᵀ a_L,   a_l = relu(W_l a_{l-1} + c_l),   a_0 = [p'_u; q'_i]
        neumf   s(u, i) = b_i + Σ_d h_d p_ud q_id + wᵀ a_L

    The probability that u chooses i is σ(s). The loss is binary cross-entropy over each interaction and `negatives`
    items drawn for it that the user has not met; Adam over mini-batches. Every interaction counts 1.

    Beyond the paper: an item bias b; dropout on the product and in the tower; and negatives drawn with probability
    q_i ∝ count_i ^ `sampling_exponent`, corrected in the loss (σ(s - log(q_i m)) for σ(s), m the number of items) so
    that s stays the log-odds against an item drawn evenly (Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys
    2019). The bias begins at the log-odds of popularity, so training begins where popularity ends.

    Scores need no torch: they are computed from the weights by NumPy. Only users and items met in `fit` have vectors.

    Fitted: `weights_`, float32 arrays by name. `item_bias` (n_items,); gmf: `user_factors` (n_users, factors),
    `item_factors` (n_items, factors), `factor_weights` (factors,); mlp: `tower_users`, `tower_items`, `kernels.<l>`
    (out, in), `offsets.<l>` (out,).
    """

    spec = NEURAL_CF

    weights_: dict[str, Float32]

    def estimate(self, shape: DataShape) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; the interactions; one batch."""
        params = self.params
        width, dense = self._widths()
        weights = (shape.n_users + shape.n_items) * width + shape.n_items + dense
        batch = fitting_batch_size(params.batch_size, shape.n_interactions)
        row = 6 * width + (6 * sum(params.layers) if params.method != "gmf" else 0)
        examples = batch * (1 + params.negatives)
        memory = 20 * weights + 44 * shape.n_interactions + 4 * examples * row
        steps = shape.n_interactions / max(batch, 1)
        seconds = params.epochs * (steps * (examples * (row + 60) * 1e-9 + weights * 6e-10 + 3e-4))
        return Forecast(int(memory) + 4_000_000, 0.1 + seconds, cheaper="ials", note="for the most epochs it may train")

    def _widths(self) -> tuple[int, int]:
        """Numbers per user or item, and numbers in the layers."""
        params = self.params
        product = params.factors if params.method != "mlp" else 0
        tower = params.factors if params.method != "gmf" else 0
        sizes = [2 * tower, *params.layers, 1] if tower else [0]
        return product + tower, params.factors + sum(before * after for before, after in pairwise(sizes))

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params = self.params
        matrix = train_data.matrix("one", params.min_rating)
        users = np.repeat(np.arange(train_data.n_users, dtype=np.int32), np.diff(matrix.indptr))
        items = matrix.indices
        if len(items) == 0:
            raise CannotFit(f"'ncf' has nothing to learn from: no rating reaches min_rating = {params.min_rating:g}")
        self.known_items_ = np.bincount(items, minlength=train_data.n_items) > 0
        self.known_users_ = np.bincount(users, minlength=train_data.n_users) > 0
        sampler = NegativeSampler(users, items, train_data.n_items, params.sampling_exponent)
        device = choose_device(run.device)
        network = _Network(train_data.n_users, train_data.n_items, params, seeded(run, "weights"))
        counts = np.bincount(items, minlength=train_data.n_items)
        even_odds = np.log(np.maximum(counts, 0.5) * self.known_items_.sum() / (len(items) * params.negatives))
        with torch.no_grad():
            network.item_bias.copy_(torch.from_numpy(even_odds))
        network.to(device)
        correction = torch.from_numpy(sampler.log_probabilities).to(device)
        batch_size = fitting_batch_size(params.batch_size, len(items))

        def epoch_batches(generator: np.random.Generator) -> EpochBatches[_Batch]:
            def batch(rows: Int64) -> _Batch:
                negatives = sampler.draw(users[rows], params.negatives, generator)
                drawn = np.concatenate((items[rows, None], negatives), axis=1)
                missing = drawn < 0
                present = torch.from_numpy(~missing).to(device) if missing.any() else None
                drawn[missing] = 0
                return _Batch(
                    torch.from_numpy(users[rows].astype(np.int64)).to(device),
                    torch.from_numpy(drawn).to(device),
                    present,
                )

            steps = -(-len(items) // batch_size)
            return EpochBatches(steps, (batch(rows) for rows in shuffled_batches(len(items), batch_size, generator)))

        signs = torch.tensor([-1.0] + [1.0] * params.negatives, device=device)

        def loss(batch: _Batch) -> BatchLoss:
            logits = network(batch.users, batch.items) - correction[batch.items]
            losses = functional.softplus(logits * signs)
            if batch.present is not None:
                losses = losses * batch.present
            return BatchLoss(losses.sum() / len(batch.users), len(batch.users))

        def validate() -> Validation | None:
            self.weights_ = arrays_of(network)
            return run.validate(self)

        settings = TrainingSettings(
            epochs=params.epochs,
            patience=params.patience,
            learning_rate=params.learning_rate,
            validate_every=params.validate_every,
            decays=True,
            gradient_norm=params.gradient_norm,
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
            halves=halves_by_rows,
            key=train_data.fingerprint if run.checkpoints is not None else "",
        )
        self.weights_ = {name: array.copy() for name, array in arrays_of(network).items()}
        self.best_epoch_ = result.best_epoch or None

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        people = np.where(self._known_people(query), query.users, 0)
        chosen = slice(None) if items is None else items
        weights = self.weights_
        scores = np.repeat(weights["item_bias"][None, chosen], len(people), axis=0)
        if "user_factors" in weights:
            scores += (weights["user_factors"][people] * weights["factor_weights"]) @ weights["item_factors"][chosen].T
        if "tower_users" in weights:
            self._add_tower(scores, people, weights["tower_items"][chosen])
        return scores

    def _add_tower(self, scores: Float32, people: Int32, of_items: Float32) -> None:
        """Add the tower's output to scores (n, m), a few people at a time so that layers stay in the cache."""
        weights = self.weights_
        kernels = [weights[f"kernels.{level}"] for level in range(len(self.params.layers) + 1)]
        offsets = [weights[f"offsets.{level}"] for level in range(len(self.params.layers))]
        width = of_items.shape[1]
        from_items = of_items @ kernels[0][:, width:].T
        from_users = weights["tower_users"][people] @ kernels[0][:, :width].T
        step = max(1, _SCORE_BLOCK // max(from_items.size, 1))
        for begin in range(0, len(people), step):
            values = from_users[begin : begin + step, None] + from_items
            for offset, kernel in zip(offsets, kernels[1:], strict=True):
                values += offset
                np.maximum(values, 0, out=values)
                values = values @ kernel.T
            scores[begin : begin + step] += values[..., 0]

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        weights = self.weights_
        user = int(query.users[0])
        history = np.unique(query.items[self.known_items_[query.items]])
        parts = np.zeros((len(history), len(items)), dtype=np.float32)
        if "user_factors" in weights and len(history):
            directions = weights["item_factors"][history] * weights["factor_weights"]
            shares = _ridge_weights(directions, weights["user_factors"][user])
            parts = shares[:, None] * (directions @ (weights["item_factors"][items] * weights["factor_weights"]).T)
        layers = np.zeros((1, len(items)), dtype=np.float32)
        if "tower_users" in weights:
            self._add_tower(layers, np.array([user], dtype=np.int32), weights["tower_items"][items])
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.BIAS, float(weights["item_bias"][item]), label="how often it is chosen"),
                    Contribution(Source.MODEL, float(layers[0, column]), label="layers over person and item"),
                    *(
                        Contribution(Source.HISTORY, float(part), int(code))
                        for code, part in zip(history.tolist(), parts[:, column], strict=True)
                    ),
                ],
                additive=False,
                faithful_to_removal=False,
                method="the person's vector divided among those of the history; what they do not span is left over",
            )
            for column, (item, score) in enumerate(zip(items, scores, strict=True))
        ]

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors), of the gmf part where there is one; rows of items not met in `fit` are NaN."""
        return self._embeddings(("item_factors", "tower_items"), self.known_items_)

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), of the gmf part where there is one; rows of users not met in `fit` are NaN."""
        return self._embeddings(("user_factors", "tower_users"), self.known_users_)

    def _embeddings(self, names: tuple[str, str], known: npt.NDArray[np.bool_]) -> Float32:
        self._require_fitted()
        vectors = next(self.weights_[name] for name in names if name in self.weights_)
        return np.where(known[:, None], vectors, np.float32(np.nan))


def _ridge_weights(directions: Float32, target: Float32) -> Float32:
    """w (m,) that minimises ‖directionsᵀ w - target‖² + λ‖w‖², with λ a direction's mean squared length."""
    gram = directions @ directions.T
    penalty = max(float(np.trace(gram)) / len(gram), 1e-12)
    gram[np.diag_indices(len(gram))] += penalty
    solved: Float32 = np.linalg.solve(gram, directions @ target).astype(np.float32)
    return solved
