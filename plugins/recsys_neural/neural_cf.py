"""NeuralCF: generalised matrix factorisation, a tower of layers, or both, on sampled negatives or on ratings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
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
from recsys_desktop.toolkit.bias import fit_biases
from recsys_desktop.toolkit.sampling import NegativeSampler
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    SeededDropout,
    TrainingResult,
    TrainingSettings,
    adam,
    arrays_of,
    checkpoint_key,
    choose_device,
    fitting_batch_size,
    halves_by_rows,
    seeded,
    shuffled_batches,
    train,
)
from recsys_neural.plugin import NEURAL_CF, NEURAL_CF_RATING
from recsys_neural.tower import add_tower

_INITIAL_SPREAD = 0.03


class _Rated(NamedTuple):
    """users, items: int64 (m,) and (m, 1). targets: float32 (m,), ratings less their mean, in standard deviations."""

    users: torch.Tensor
    items: torch.Tensor
    targets: torch.Tensor


class _Batch(NamedTuple):
    """users: int64 (m,). items: int64 (m, 1 + negatives), the positive first. present: bool of that shape, or None."""

    users: torch.Tensor
    items: torch.Tensor
    present: torch.Tensor | None


class _Network(torch.nn.Module):
    """score(u, i) = b_u + b_i + Σ_d h_d p_ud q_id + wᵀ tower([p'_u; q'_i]); b_u and either sum may be absent."""

    def __init__(
        self, n_users: int, n_items: int, params: Any, generator: torch.Generator, user_bias: bool = False
    ) -> None:
        super().__init__()

        def spread(*shape: int, deviation: float = _INITIAL_SPREAD) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(shape).normal_(0, deviation, generator=generator))

        self.item_bias = torch.nn.Parameter(torch.zeros(n_items))
        self.user_bias = torch.nn.Parameter(torch.zeros(n_users)) if user_bias else None
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

    def join(self, product: _Network, tower: _Network) -> None:
        """Take over the vectors and layers of two trained networks; each counts half (He et al., equation 13)."""
        of_both = dict(product.named_parameters()), dict(tower.named_parameters())
        last = f"kernels.{len(self.kernels) - 1}"
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                sources = [named[name].detach() for named in of_both if name in named]
                share = 0.5 if name in ("factor_weights", last) else 1.0
                parameter.copy_(share * torch.stack(sources).mean(0))

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """users int64 (m,), items int64 (m, k): scores (m, k)."""
        scores = self.item_bias.index_select(0, items.reshape(-1)).view(items.shape)
        if self.user_bias is not None:
            scores = scores + self.user_bias[users][:, None]
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


class _NeuralCf(Recommender):
    """What ranking and rating have in common: scores, vectors, explanations from the weights.

    Fitted: `weights_`, float32 arrays by name. `item_bias` (n_items,); for ratings `user_bias` (n_users,); gmf:
    `user_factors` (n_users, factors), `item_factors` (n_items, factors), `factor_weights` (factors,); mlp:
    `tower_users`, `tower_items`, `kernels.<l>` (out, in), `offsets.<l>` (out,).
    """

    weights_: dict[str, Float32]

    def _settings(self) -> TrainingSettings:
        params = self.params
        return TrainingSettings(
            epochs=params.epochs,
            patience=params.patience,
            learning_rate=params.learning_rate,
            validate_every=params.validate_every,
            decays=True,
            gradient_norm=params.gradient_norm,
            threads=1,
        )

    def _widths(self) -> tuple[int, int]:
        """Numbers per user or item, and numbers in the layers."""
        params = self.params
        product = params.factors if params.method != "mlp" else 0
        tower = params.factors if params.method != "gmf" else 0
        sizes = [2 * tower, *params.layers, 1] if tower else [0]
        return product + tower, params.factors + sum(before * after for before, after in pairwise(sizes))

    def _forecast(self, shape: DataShape, examples_of_one: int) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; the interactions; one batch."""
        params = self.params
        width, dense = self._widths()
        weights = (shape.n_users + shape.n_items) * width + shape.n_items + dense
        batch = fitting_batch_size(params.batch_size, shape.n_interactions)
        row = 6 * width + (6 * sum(params.layers) if params.method != "gmf" else 0)
        examples = batch * examples_of_one
        memory = 20 * weights + 44 * shape.n_interactions + 4 * examples * row
        steps = shape.n_interactions / max(batch, 1)
        seconds = params.epochs * (steps * (examples * (row + 60) * 1e-9 + weights * 6e-10 + 3e-4))
        return Forecast(
            int(1.3 * memory) + 4_000_000, 0.1 + seconds, cheaper="ials", note="for the most epochs it may train"
        )

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        people = np.where(self._known_people(query), query.users, 0)
        chosen = slice(None) if items is None else items
        weights = self.weights_
        scores = np.repeat(weights["item_bias"][None, chosen], len(people), axis=0)
        if "user_bias" in weights:
            scores += weights["user_bias"][people, None]
        if "user_factors" in weights:
            scores += (weights["user_factors"][people] * weights["factor_weights"]) @ weights["item_factors"][chosen].T
        if "tower_users" in weights:
            self._add_tower(scores, weights["tower_users"][people], weights["tower_items"][chosen])
        return scores

    def _add_tower(self, scores: Float32, of_people: Float32, of_items: Float32) -> None:
        """Add the tower's output for vectors of n people and m items to scores (n, m)."""
        weights, depth = self.weights_, len(self.params.layers)
        first, width = weights["kernels.0"], of_items.shape[1]
        layers = [(weights[f"offsets.{level}"], weights[f"kernels.{level + 1}"]) for level in range(depth)]
        add_tower(scores, of_people @ first[:, :width].T, of_items @ first[:, width:].T, layers)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        """Parts in units of the score; `_unit` and `_beside` say how those of the network become that."""
        weights, unit = self.weights_, self._unit()
        user = int(query.users[0])
        history = np.unique(query.items[self.known_items_[query.items]])
        parts = np.zeros((len(history), len(items)), dtype=np.float32)
        if "user_factors" in weights and len(history):
            directions = weights["item_factors"][history] * weights["factor_weights"]
            departing = weights["user_factors"][user] - self._average_person("user_factors")
            shares = _ridge_weights(directions, departing)
            parts = shares[:, None] * (directions @ (weights["item_factors"][items] * weights["factor_weights"]).T)
        layers = np.zeros((2, len(items)), dtype=np.float32)
        if "tower_users" in weights:
            both = np.stack((weights["tower_users"][user], self._average_person("tower_users")))
            self._add_tower(layers, both, weights["tower_items"][items])
        of_layers = unit * (layers[0] - layers[1])
        general = unit * self._with_the_average_person()
        level = float(general[self.known_items_].mean())
        base, of_person = self._beside(user)
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    *of_person,
                    Contribution(Source.BIAS, float(general[item]) - level, label=self._of_item),
                    Contribution(Source.MODEL, float(of_layers[column]), label="layers over person and item"),
                    *(
                        Contribution(Source.HISTORY, unit * float(part), int(code))
                        for code, part in zip(history.tolist(), parts[:, column], strict=True)
                    ),
                ],
                base=base + level,
                additive=False,
                faithful_to_removal=False,
                method="what the average person gets, and how this person's vector departs from the average one, "
                "divided among those of the history; what they do not span is left over",
            )
            for column, (item, score) in enumerate(zip(items, scores, strict=True))
        ]

    _of_item = "how often it is chosen"

    def _average_person(self, name: str) -> Float32:
        """The mean vector, by the name of its weights, of the people met in `fit`."""
        average: Float32 = self.weights_[name][self.known_users_].mean(0)
        return average

    def _with_the_average_person(self) -> Float32:
        """float32 (n_items,), what the network answers for the average person, without a bias of that person."""
        weights = self.weights_
        answers = weights["item_bias"][None].copy()
        if "user_factors" in weights:
            answers += (self._average_person("user_factors") * weights["factor_weights"]) @ weights["item_factors"].T
        if "tower_users" in weights:
            self._add_tower(answers, self._average_person("tower_users")[None], weights["tower_items"])
        return answers.ravel()

    def _unit(self) -> float:
        """How much of the score one of the network's output is."""
        return 1.0

    def _beside(self, user: int) -> tuple[float, list[Contribution]]:
        """Where the score begins beside the network's output, and what of it is the person's."""
        return 0.0, []

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


class NeuralCf(_NeuralCf):
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

    With `pretraining`, gmf and mlp are first trained on their own, and neumf begins with the vectors and layers of
    both, each of which counts half at first (section 3.4.1).
    """

    spec = NEURAL_CF

    def estimate(self, shape: DataShape) -> Forecast:
        """As its network with `negatives` items drawn for each one chosen."""
        return self._forecast(shape, 1 + self.params.negatives)

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params = self.params
        matrix = train_data.matrix("one", params.min_rating)
        users = np.repeat(np.arange(train_data.n_users, dtype=np.int32), np.diff(matrix.indptr))
        items = matrix.indices
        self.known_items_ = np.bincount(items, minlength=train_data.n_items) > 0
        self.known_users_ = np.bincount(users, minlength=train_data.n_users) > 0
        sampler = NegativeSampler(users, items, train_data.n_items, params.sampling_exponent)
        device = choose_device(run.device)
        counts = np.bincount(items, minlength=train_data.n_items)
        even_odds = np.log(np.maximum(counts, 0.5) * self.known_items_.sum() / (len(items) * params.negatives))

        def begun(params: Any) -> _Network:
            name = "weights" if params is self.params else f"weights {params.method}"
            network = _Network(train_data.n_users, train_data.n_items, params, seeded(run, name))
            with torch.no_grad():
                network.item_bias.copy_(torch.from_numpy(even_odds))
            return network.to(device)

        network = begun(params)
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

        def loss_of(network: _Network) -> Callable[[_Batch], BatchLoss]:
            def loss(batch: _Batch) -> BatchLoss:
                logits = network(batch.users, batch.items) - correction[batch.items]
                losses = functional.softplus(logits * signs)
                if batch.present is not None:
                    losses = losses * batch.present
                return BatchLoss(losses.sum() / len(batch.users), len(batch.users))

            return loss

        def learn(network: _Network, **options: Any) -> TrainingResult:
            return train(
                network,
                adam(network, params.learning_rate, params.weight_decay),
                epoch_batches,
                loss_of(network),
                self._settings(),
                run,
                validate,
                halves=halves_by_rows,
                key=checkpoint_key(self, train_data, run),
                **options,
            )

        def validate() -> Validation | None:
            self.weights_ = arrays_of(network)
            return run.validate(self)

        begin = 0.0
        if params.pretraining and params.method == "neumf":
            step = params.pretraining / (2 * params.pretraining + params.epochs)
            branches = []
            for method in ("gmf", "mlp"):
                branches.append(begun(params.model_copy(update={"method": method})))
                learn(branches[-1], stage=method, epochs=params.pretraining, span=(begin, begin + step))
                begin += step
            network.join(*branches)
        result = learn(network, span=(begin, 1.0))
        self.weights_ = {name: array.copy() for name, array in arrays_of(network).items()}
        self.best_epoch_ = result.best_epoch or None


class NeuralCfRating(_NeuralCf):
    """NeuralCF for ratings: the networks of `NeuralCf` with the squared error in place of the cross-entropy.

    With μ the mean of the ratings and σ their standard deviation,

        r(u, i) = μ + σ s(u, i)      s(u, i) = b_u + b_i + Σ_d h_d p_ud q_id + wᵀ a_L([p'_u; q'_i])
        loss = Σ ((r_ui - μ) / σ - s(u, i))²

    Adam over mini-batches; either sum may be absent, by `method`. The biases begin as the regularised ones of
    `toolkit.bias`, so training begins where the bias model ends. Predictions are clipped to the scale.

    Fitted beside `weights_`: `mean_`, μ; `spread_`, σ, both in rating units.
    """

    spec = NEURAL_CF_RATING

    mean_: float
    spread_: float

    def estimate(self, shape: DataShape) -> Forecast:
        """As its network, with one example for each rating."""
        return self._forecast(shape, 1)

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params, ratings = self.params, train_data.ratings
        assert ratings is not None
        biases = fit_biases(train_data, None, None, run)
        self.mean_, self.spread_ = biases.mean, float(ratings.std(dtype=np.float64)) or 1.0
        device = choose_device(run.device)
        network = _Network(train_data.n_users, train_data.n_items, params, seeded(run, "weights"), user_bias=True)
        assert network.user_bias is not None
        with torch.no_grad():
            network.user_bias.copy_(torch.from_numpy(biases.users / self.spread_))
            network.item_bias.copy_(torch.from_numpy(biases.items / self.spread_))
        network.to(device)
        targets = ((ratings - self.mean_) / self.spread_).astype(np.float32)
        batch_size = fitting_batch_size(params.batch_size, len(targets))

        def epoch_batches(generator: np.random.Generator) -> EpochBatches[_Rated]:
            def batch(rows: Int64) -> _Rated:
                return _Rated(
                    torch.from_numpy(train_data.users[rows].astype(np.int64)).to(device),
                    torch.from_numpy(train_data.items[rows, None].astype(np.int64)).to(device),
                    torch.from_numpy(targets[rows]).to(device),
                )

            batches = shuffled_batches(len(targets), batch_size, generator)
            return EpochBatches(-(-len(targets) // batch_size), map(batch, batches))

        def loss(batch: _Rated) -> BatchLoss:
            errors = network(batch.users, batch.items)[:, 0] - batch.targets
            return BatchLoss(errors.square().mean(), len(errors))

        def validate() -> Validation | None:
            self.weights_ = arrays_of(network)
            return run.validate(self)

        result = train(
            network,
            adam(network, params.learning_rate, params.weight_decay),
            epoch_batches,
            loss,
            self._settings(),
            run,
            validate,
            halves=halves_by_rows,
            key=checkpoint_key(self, train_data, run),
        )
        self.weights_ = {name: array.copy() for name, array in arrays_of(network).items()}
        self.best_epoch_ = result.best_epoch or None

    def _unit(self) -> float:
        return self.spread_

    def _beside(self, user: int) -> tuple[float, list[Contribution]]:
        of_user = self.spread_ * float(self.weights_["user_bias"][user])
        return self.mean_, [Contribution(Source.BIAS, of_user, label="how this person rates")]

    _of_item = "how this item is rated"

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        return self.mean_ + self.spread_ * super()._score(query, items)


def _ridge_weights(directions: Float32, target: Float32) -> Float32:
    """w (m,) that minimises ‖directionsᵀ w - target‖² + λ‖w‖², with λ a direction's mean squared length."""
    gram = directions @ directions.T
    penalty = max(float(np.trace(gram)) / len(gram), 1e-12)
    gram[np.diag_indices(len(gram))] += penalty
    solved: Float32 = np.linalg.solve(gram, directions @ target).astype(np.float32)
    return solved
