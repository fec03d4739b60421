"""Autoencoders over histories: plain, denoising, and variational with a multinomial likelihood."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from recsys_desktop.api import Dataset, DataShape, Forecast, Query, Recommender, RunContext, Validation
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    SeededDropout,
    TrainingSettings,
    adam,
    arrays_of,
    checkpoint_key,
    choose_device,
    fitting_batch_size,
    seeded,
    shuffled_batches,
    train,
)
from recsys_neural.plugin import AUTOENCODER, DENOISING_AUTOENCODER, MULT_VAE

_WORK_FOR_THREADS = 2e8
"""Operations of a step from which several threads gain more than they lose by waiting for each other."""


class _Batch(NamedTuple):
    """Histories of m people, ragged: items int64 (n,), owners int64 (n,) from 0 to m - 1 ascending, size m.

    divergence_weight: how much the divergence counts in this step.
    """

    items: torch.Tensor
    owners: torch.Tensor
    size: int
    divergence_weight: float

    def halves(self) -> list[_Batch]:
        """The first and the second half of the people; itself where there is one."""
        half = self.size // 2
        if half == 0:
            return [self]
        cut = int((self.owners < half).sum())
        return [
            _Batch(self.items[:cut], self.owners[:cut], half, self.divergence_weight),
            _Batch(self.items[cut:], self.owners[cut:] - half, self.size - half, self.divergence_weight),
        ]


class _Network(torch.nn.Module):
    """x → h = tanh(W x/‖x‖ + b) → code → logits; the code is h, or drawn from a normal distribution that h gives."""

    def __init__(self, n_items: int, hidden: int, factors: int, noise: float, generator: torch.Generator) -> None:
        super().__init__()

        def glorot(before: int, after: int) -> torch.nn.Parameter:
            deviation = (2 / (before + after)) ** 0.5
            return torch.nn.Parameter(torch.empty(before, after).normal_(0, deviation, generator=generator))

        self.noise = SeededDropout(noise)
        self.into_hidden = glorot(n_items, hidden)
        self.hidden_bias = torch.nn.Parameter(torch.zeros(hidden))
        self.is_variational = factors > 0
        if self.is_variational:
            self.into_mean = glorot(hidden, factors)
            self.mean_bias = torch.nn.Parameter(torch.zeros(factors))
            self.into_log_variance = glorot(hidden, factors)
            self.log_variance_bias = torch.nn.Parameter(torch.full((factors,), -2.0))
        self.from_code = glorot(factors or hidden, n_items)
        self.item_bias = torch.nn.Parameter(torch.zeros(n_items))

    def forward(self, batch: _Batch, drawn: torch.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (m, n_items), and the divergence of each code from a standard normal (m,), 0 where it is not drawn."""
        lengths = torch.bincount(batch.owners, minlength=batch.size).clamp(min=1)
        values = self.noise(torch.ones(len(batch.items), device=batch.items.device) / lengths.sqrt()[batch.owners])
        starts = torch.cumsum(lengths, 0) - lengths
        hidden = functional.embedding_bag(batch.items, self.into_hidden, starts, mode="sum", per_sample_weights=values)
        hidden = torch.tanh(hidden + self.hidden_bias)
        code, divergence = hidden, torch.zeros(batch.size, device=hidden.device)
        if self.is_variational:
            mean = hidden @ self.into_mean + self.mean_bias
            log_variance = hidden @ self.into_log_variance + self.log_variance_bias
            divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
            code = mean
            if drawn is not None:
                code = mean + torch.empty_like(mean).normal_(generator=drawn) * (0.5 * log_variance).exp()
        return code @ self.from_code + self.item_bias, divergence


class _Autoencoder(Recommender):
    """What the three autoencoders share: training on whole histories, scores from any history.

    Fitted: `weights_`, float32 arrays by name; `items_` int32 (m,), the item codes that take part.
    """

    weights_: dict[str, Float32]
    items_: Int32

    def _shape(self) -> tuple[int, int, float]:
        """Width of the hidden layer, of the code (0 where the layer is the code), and the share of noise."""
        raise NotImplementedError

    def _divergence_weight(self, step: int, steps: int) -> float:
        """How much the divergence counts in this step of so many in all."""
        return 0.0

    def estimate(self, shape: DataShape) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; the logits of one batch."""
        params = self.params
        hidden, factors, _ = self._shape()
        weights = shape.n_items * (hidden + (factors or hidden) + 1) + 2 * hidden * factors
        batch = fitting_batch_size(params.batch_size, shape.n_users)
        memory = 20 * weights + 16 * batch * shape.n_items + 40 * shape.n_interactions
        work = 6 * shape.n_users * shape.n_items * hidden + shape.n_users / batch * weights * 12
        return Forecast(int(memory) + 4_000_000, 0.1 + params.epochs * work / 2e10, cheaper="ease")

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params = self.params
        matrix = train_data.matrix("one", params.min_rating)
        counts = np.bincount(matrix.indices, minlength=train_data.n_items)
        self.items_ = np.flatnonzero(counts).astype(np.int32)
        self.known_items_ = counts > 0
        rows = SparseRows.of(matrix).with_columns(self._places())
        people = np.flatnonzero(np.diff(rows.indptr))
        hidden, factors, noise = self._shape()
        device = choose_device(run.device)
        network = _Network(len(self.items_), hidden, factors, noise, seeded(run, "weights"))
        with torch.no_grad():
            network.item_bias.copy_(torch.from_numpy(np.log(counts[self.items_] / counts.sum())))
        network.to(device)
        batch_size = fitting_batch_size(params.batch_size, len(people))
        steps_an_epoch = -(-len(people) // batch_size)
        work = 6 * batch_size * len(self.items_) * hidden
        steps_before = 0
        drawn = torch.Generator(device)

        def begin_epoch(epoch: int) -> None:
            nonlocal steps_before, drawn
            steps_before = (epoch - 1) * steps_an_epoch
            drawn = seeded(run, f"codes {epoch}", device)

        def epoch_batches(generator: np.random.Generator) -> EpochBatches[_Batch]:
            def batch(step: int, chosen: Int64) -> _Batch:
                part = rows.take(people[chosen].astype(np.int32))
                owners = np.repeat(np.arange(len(chosen)), np.diff(part.indptr))
                return _Batch(
                    torch.from_numpy(part.indices.astype(np.int64)).to(device),
                    torch.from_numpy(owners).to(device),
                    len(chosen),
                    self._divergence_weight(steps_before + step, steps_an_epoch * params.epochs),
                )

            batches = shuffled_batches(len(people), batch_size, generator)
            return EpochBatches(steps_an_epoch, (batch(step, chosen) for step, chosen in enumerate(batches, 1)))

        def loss(batch: _Batch) -> BatchLoss:
            logits, divergence = network(batch, drawn)
            chosen = functional.log_softmax(logits, dim=-1)[batch.owners, batch.items]
            reconstruction = -chosen.sum() / batch.size
            total = reconstruction + batch.divergence_weight * divergence.mean()
            return BatchLoss(total, batch.size, {"reconstruction": -chosen.mean()})

        def validate() -> Validation | None:
            self.weights_ = arrays_of(network)
            return run.validate(self)

        settings = TrainingSettings(
            epochs=params.epochs,
            patience=params.patience,
            learning_rate=params.learning_rate,
            decays=True,
            gradient_norm=None,
            threads=run.threads if work >= _WORK_FOR_THREADS else 1,
            mixed_precision=True,
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
            begin_epoch=begin_epoch,
            halves=_Batch.halves,
            key=checkpoint_key(self, train_data, run),
        )
        self.weights_ = {name: array.copy() for name, array in arrays_of(network).items()}
        self.best_epoch_ = result.best_epoch or None

    def _places(self) -> Int32:
        """int32 (n_items,): position of each item among those that take part, -1 for the others."""
        places = np.full(self.n_items, -1, dtype=np.int32)
        places[self.items_] = np.arange(len(self.items_), dtype=np.int32)
        return places

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        weights = self.weights_
        history = SparseRows.of(query.matrix(self.n_items, "one", self.params.min_rating)).with_columns(self._places())
        lengths = np.diff(history.indptr)
        scale = 1 / np.sqrt(np.maximum(lengths, 1), dtype=np.float32)
        code = np.tanh(sparse_times_dense(history, weights["into_hidden"]) * scale[:, None] + weights["hidden_bias"])
        if "into_mean" in weights:
            code = code @ weights["into_mean"] + weights["mean_bias"]
        wanted = self.items_ if items is None else items
        places = self._places()[wanted]
        logits = code @ weights["from_code"][:, places] + weights["item_bias"][places]
        logits[lengths == 0] = np.nan
        if items is not None:
            return logits
        out = np.full((len(query), self.n_items), np.nan, dtype=np.float32)
        out[:, self.items_] = logits
        return out

    def item_embeddings(self) -> Float32:
        """float32 (n_items, length of the code), the weights from the code to each item; unknown items are NaN."""
        self._require_fitted()
        out = np.full((self.n_items, len(self.weights_["from_code"])), np.nan, dtype=np.float32)
        out[self.items_] = self.weights_["from_code"].T
        return out


class MultVae(_Autoencoder):
    """Variational autoencoder with a multinomial likelihood (Liang et al. 2018, equations 2 to 6).

    With x a history (every interaction 1), of which a share `noise` is left out at random in training:

        h = tanh(W x/‖x‖ + b)     μ = W_μ h + b_μ     log σ² = W_σ h + b_σ     z ~ N(μ, σ²)     π = softmax(V z + c)
        loss = -Σ_i x_i log π_i + β KL(N(μ, σ²) ‖ N(0, 1))

    β rises linearly from 0 to `divergence` over the first `annealing` of all steps. The score is log π up to a
    constant, with z = μ. The user is the history: anybody's can be scored. The paper's decoder has a hidden layer of
    its own; a linear one ranks better on small data and is faster.
    """

    spec = MULT_VAE

    def _shape(self) -> tuple[int, int, float]:
        return self.params.hidden, self.params.factors, self.params.noise

    def _divergence_weight(self, step: int, steps: int) -> float:
        params = self.params
        weight: float = params.divergence * min(1.0, step / max(1.0, params.annealing * steps))
        return weight


class DenoisingAutoencoder(_Autoencoder):
    """Denoising autoencoder with a multinomial likelihood (Mult-DAE in Liang et al. 2018, section 2.2).

    Learns to restore a history of which a share `noise` was left out, through one hidden layer of tanh:

        loss = -Σ_i x_i log π_i,   π = softmax(W₂ tanh(W₁ x̃/‖x‖ + b₁) + b₂)

    The score is log π up to a constant, without noise. The user is the history: anybody's can be scored.
    """

    spec = DENOISING_AUTOENCODER

    def _shape(self) -> tuple[int, int, float]:
        return self.params.hidden, 0, self.params.noise


class Autoencoder(_Autoencoder):
    """Autoencoder (Sedhain et al., AutoRec, 2015, user-based, here with a multinomial likelihood and no noise).

    Squeezes a history through one hidden layer of tanh, π = softmax(W₂ tanh(W₁ x/‖x‖ + b₁) + b₂), and is trained to
    give it back: loss = -Σ_i x_i log π_i. Only the width of the layer and the weight decay keep it from copying.
    """

    spec = AUTOENCODER

    def _shape(self) -> tuple[int, int, float]:
        return self.params.hidden, 0, 0.0
