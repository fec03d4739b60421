"""GRU, LSTM and SASRec: one way of training and serving, three networks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recsys_desktop.api import Dataset, DataShape, Forecast, Query, Recommender, RunContext, Validation
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    TrainingSettings,
    adam,
    arrays_of,
    checkpoint_key,
    choose_device,
    seeded,
    train,
)
from recsys_sequence.losses import bce_loss, drawn_candidates, gbce_loss, softmax_loss
from recsys_sequence.networks import RecurrentNetwork, SelfAttentionNetwork, SequenceNetwork
from recsys_sequence.plugin import GRU, LSTM, SASREC
from recsys_sequence.sequences import (
    Windows,
    batches_by_length,
    blocks_by_length,
    drawn_windows,
    last_windows,
    padded_rows,
    shuffled_rows,
    widths,
)

MOST_COMPARED = 20_000
"""Up to so many items every one is compared with, where the loss is left open."""

_SMALLEST_BATCH = 1024
_LEAST_STEPS = 64
_MOST_LOGITS = 40_000_000
"""Logits of a step, so that it takes well under a second and a run can stop between steps."""

_SAMPLING_EXPONENT = 0.75
_SERVED_POSITIONS = 8192
_WORK_FOR_THREADS = 2e8
"""Operations of a step from which several threads gain more than they lose by waiting for each other."""


class _Batch(NamedTuple):
    """Padded rows: items int64 (b, L), sizes int64 (b,), real bool (b, L); targets int64 (n,) of the real entries.

    negatives: int64 (n,), one for each target, where the loss takes such.
    """

    items: torch.Tensor
    sizes: torch.Tensor
    real: torch.Tensor
    targets: torch.Tensor
    negatives: torch.Tensor | None

    def halves(self) -> list[_Batch]:
        """The first and the second half of the rows; itself where there is one."""
        half = len(self.items) // 2
        if half == 0:
            return [self]
        cut = int(self.real[:half].sum())
        spans = ((slice(0, half), slice(0, cut)), (slice(half, None), slice(cut, None)))
        return [
            _Batch(
                self.items[rows],
                self.sizes[rows],
                self.real[rows],
                self.targets[entries],
                None if self.negatives is None else self.negatives[entries],
            )
            for rows, entries in spans
        ]


class SequenceRecommender(Recommender):
    """What the sequence recommenders share: they learn to say after each item of a history which one comes next.

    A network turns the items i_1 … i_t of a history into a state h_t; the logit of item j being next is

        s_j = h_t · e_j + b_j

    with the item vectors e, which are the network's input too, and a bias b that begins at the logarithm of the item's
    share of all interactions. All positions of a history are trained in one pass, against the item that followed. The
    loss is the cross-entropy of a softmax over all items, an estimate of it, gBCE or BCE (see `losses`). Adam over
    mini-batches of histories of similar length. Every interaction counts 1.

    The score is h · (e_j - ē) + b_j, with ē the mean vector: logits up to a constant that is the person's own, so that
    what raises all items alike does not count. The user is the history, and its order is that of time; where the data
    has no times, that of the file, and for a history given without them the order in which it is given. Of a long
    history the latest `length` items count.

    Fitted: `weights_`, float32 arrays by name; `items_` int32 (m,), the item codes that take part; `length_`, how far
    back a history is read.
    """

    weights_: dict[str, Float32]
    items_: Int32
    length_: int

    def _new_network(self, n_items: int, length: int, dropout: float, generator: torch.Generator) -> SequenceNetwork:
        raise NotImplementedError

    def _network_sizes(self) -> tuple[int, int]:
        """Weights beside item vectors and biases (without positions), and numbers held at a position while training."""
        raise NotImplementedError

    def estimate(self, shape: DataShape) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; the states of one batch; one block."""
        params = self.params
        length = self._length(shape.longest_history)
        own, at_position = self._network_sizes()
        weights = shape.n_items * (params.factors + 1) + length * params.factors + own
        positions = min(shape.n_interactions, shape.n_users * length)
        batch = self._batch_size(positions, shape.n_items)
        candidates = shape.n_items if self._loss(shape.n_items) == "cross-entropy" else params.negatives
        memory = 28 * weights + 60 * shape.n_interactions + 4 * batch * at_position
        work = 6 * positions * (own + candidates * params.factors + length * params.factors)
        seconds = params.epochs * (work / 3e10 + positions / batch * weights * 6e-10)
        return Forecast(
            int(memory) + 10_000_000, 0.5 + seconds, cheaper="ease", note="for the most epochs it may train"
        )

    def _length(self, longest_history: int) -> int:
        longest: int = self.params.length
        return max(1, min(longest, longest_history - 1))

    def _batch_size(self, positions: int, n_items: int) -> int:
        """Interactions a step: fewer where an epoch would have too few steps or a step would take too long."""
        compared = n_items if self._loss(n_items) == "cross-entropy" else self.params.negatives
        most = min(self.params.batch_size, max(_SMALLEST_BATCH, _MOST_LOGITS // max(compared, 1)))
        return int(min(most, max(_SMALLEST_BATCH, positions // _LEAST_STEPS)))

    def _loss(self, n_items: int) -> str:
        chosen: str = self.params.loss
        if chosen == "auto":
            return "cross-entropy" if n_items <= MOST_COMPARED else "sampled"
        return chosen

    @staticmethod
    def _dropout(interactions: int) -> float:
        """From 0.3 for up to 100,000 interactions down to 0.2 for a million and more."""
        return float(np.interp(np.log10(max(interactions, 1)), (5, 6), (0.3, 0.2)))

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params = self.params
        items, indptr = self._histories(train_data)
        counts = np.bincount(items, minlength=train_data.n_items)
        self.items_ = np.flatnonzero(counts).astype(np.int32)
        self.known_items_ = counts > 0
        lengths = np.diff(indptr)
        self.length_ = self._length(int(lengths.max()))
        bounds = np.concatenate(([0], np.cumsum(lengths[lengths > 1])))
        places = self._places()[items[np.repeat(lengths > 1, lengths)]]
        positions = int(last_windows(bounds, self.length_ + 1).sizes.sum()) - (len(bounds) - 1)
        if params.dropout is None:
            self.chosen_ = {"dropout": self._dropout(len(places))}
        device = choose_device(run.device)
        network = self._new_network(len(self.items_), self.length_, self.setting("dropout"), seeded(run, "weights"))
        with torch.no_grad():
            network.item_bias.copy_(torch.from_numpy(np.log(counts[self.items_] / counts.sum())))
        network.to(device)
        batch_size = self._batch_size(positions, len(self.items_))
        kind = self._loss(len(self.items_))
        chance = np.ones(len(self.items_)) if kind == "gbce" else counts[self.items_] ** _SAMPLING_EXPONENT
        chances = torch.from_numpy(chance / chance.sum()).float().to(device)

        shuffled = 0.0
        drawn = torch.Generator(device)

        def begin_epoch(epoch: int) -> None:
            nonlocal shuffled, drawn
            shuffled = params.shuffled * max(0.0, 1 - 2 * (epoch - 1) / params.epochs)
            drawn = seeded(run, f"candidates {epoch}", device)

        def epoch_batches(generator: np.random.Generator) -> EpochBatches[_Batch]:
            windows = drawn_windows(bounds, self.length_ + 1, params.earlier, generator)
            batches = batches_by_length(windows.sizes - 1, self.length_, batch_size, generator)
            return EpochBatches(len(batches), (batch(windows.take(chosen), generator) for chosen in batches))

        def batch(windows: Windows, generator: np.random.Generator) -> _Batch:
            width = int(widths(windows.sizes - 1, self.length_).max()) + 1
            rows, real = padded_rows(places, windows, width)
            in_random_order = np.flatnonzero(generator.random(len(rows)) < shuffled)
            rows[in_random_order] = shuffled_rows(rows[in_random_order], real[in_random_order], generator)
            targets = rows[:, 1:][real[:, 1:]]
            negatives = None
            if kind == "bce":
                # One of the others, each as likely.
                shift = generator.integers(1, max(2, len(self.items_)), len(targets))
                negatives = torch.from_numpy((targets + shift) % len(self.items_)).to(device)
            return _Batch(
                torch.from_numpy(rows[:, :-1]).to(device),
                torch.from_numpy(windows.sizes - 1).to(device),
                torch.from_numpy(real[:, 1:]).to(device),
                torch.from_numpy(targets).to(device),
                negatives,
            )

        def loss(batch: _Batch) -> BatchLoss:
            states = network.states(batch.items, batch.sizes)[batch.real]
            arguments = states, network.item_vectors, network.item_bias, batch.targets
            if batch.negatives is not None:
                mean = bce_loss(*arguments, batch.negatives)
            elif kind == "cross-entropy":
                mean = softmax_loss(*arguments)
            else:
                candidates = drawn_candidates(chances, params.negatives, drawn)
                if kind == "gbce":
                    mean = gbce_loss(*arguments, candidates, params.calibration)
                else:
                    mean = softmax_loss(*arguments, candidates)
            return BatchLoss(mean, len(batch.targets))

        def validate() -> Validation | None:
            self.weights_ = arrays_of(network)
            self._network = network
            return run.validate(self)

        work = 6 * batch_size * len(self.items_) * params.factors
        settings = TrainingSettings(
            epochs=params.epochs,
            patience=params.patience,
            learning_rate=params.learning_rate,
            decays=True,
            gradient_norm=params.gradient_norm,
            threads=run.threads if work >= _WORK_FOR_THREADS else 1,
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
        self._network = network.to("cpu").requires_grad_(False).eval()
        self.weights_ = arrays_of(network)
        self.best_epoch_ = result.best_epoch or None

    def _histories(self, train_data: Dataset) -> tuple[Int32, Int64]:
        """The items of all histories, one after the other, int32 (n,), and their bounds, int64 (n_users + 1,)."""
        histories = train_data.histories
        if self.params.min_rating is None or histories.ratings is None:
            return histories.items, histories.indptr
        kept = histories.ratings >= self.params.min_rating
        return histories.items[kept], np.concatenate(([0], np.cumsum(kept)))[histories.indptr]

    def _places(self) -> Int64:
        """int64 (n_items,): position of each item among those that take part, -1 for the others."""
        places = np.full(self.n_items, -1, dtype=np.int64)
        places[self.items_] = np.arange(len(self.items_))
        return places

    def _fitted_network(self) -> SequenceNetwork:
        network: SequenceNetwork | None = vars(self).get("_network")
        if network is None:
            network = self._new_network(len(self.items_), self.length_, 0.0, torch.Generator())
            network.load_state_dict({name: torch.from_numpy(array) for name, array in self.weights_.items()})
            self._network = network.requires_grad_(False).eval()
        return network

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        places = self._places()
        kept = self.known_items_[query.items]
        if self.params.min_rating is not None and query.ratings is not None:
            kept &= query.ratings >= self.params.min_rating
        bounds = np.concatenate(([0], np.cumsum(kept)))[query.indptr]
        states = self._states(places[query.items[kept]], bounds)
        vectors, bias = self.weights_["item_vectors"], self.weights_["item_bias"]
        own = (states @ vectors.mean(axis=0))[:, None]
        if items is None:
            out = np.full((len(query), self.n_items), np.nan, dtype=np.float32)
            out[:, self.items_] = states @ vectors.T + bias - own
            return out
        chosen = places[items]
        scores: Float32 = states @ vectors[chosen].T + bias[chosen] - own
        return scores

    def _states(self, items: Int64, bounds: npt.NDArray[Any]) -> Float32:
        """The state after each history (places of items, one after the other): float32 (n, factors), NaN if empty."""
        network = self._fitted_network()
        device = network.item_vectors.device
        windows = last_windows(bounds, self.length_)
        out = np.full((len(windows.sizes), self.params.factors), np.nan, dtype=np.float32)
        people = np.flatnonzero(windows.sizes)
        with torch.inference_mode():
            for block in blocks_by_length(windows.sizes[people], _SERVED_POSITIONS):
                chosen = windows.take(people[block])
                rows, _ = padded_rows(items, chosen, int(chosen.sizes.max()))
                sizes = torch.from_numpy(chosen.sizes).to(device)
                out[people[block]] = network.last_states(torch.from_numpy(rows).to(device), sizes).cpu().numpy()
        return out

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors), the item vectors; rows of unknown items are NaN."""
        self._require_fitted()
        out = np.full((self.n_items, self.params.factors), np.nan, dtype=np.float32)
        out[self.items_] = self.weights_["item_vectors"]
        return out


class _Recurrent(SequenceRecommender):
    """What GRU and LSTM share."""

    cell: type[torch.nn.GRU] | type[torch.nn.LSTM]
    gates: int
    held_widths: int
    """Numbers that torch holds at a position while it trains a layer, in widths of the state."""

    def _new_network(self, n_items: int, length: int, dropout: float, generator: torch.Generator) -> SequenceNetwork:
        params = self.params
        return RecurrentNetwork(self.cell, n_items, params.factors, params.hidden, params.layers, dropout, generator)

    def _network_sizes(self) -> tuple[int, int]:
        params = self.params
        inputs = params.factors + (params.layers - 1) * params.hidden
        weights = self.gates * params.hidden * (inputs + params.layers * params.hidden) + params.hidden * params.factors
        return weights, 6 * params.factors + params.layers * self.held_widths * params.hidden


class Gru(_Recurrent):
    """Gated recurrent units over the history (GRU4Rec, Hidasi et al. 2016), trained on whole histories.

    With x_t the vector of the t-th item (Cho et al. 2014, equations 5 to 8):

        z_t = σ(W_z x_t + U_z g_{t-1})     r_t = σ(W_r x_t + U_r g_{t-1})
        g_t = (1 - z_t) tanh(W x_t + r_t ⊙ U g_{t-1}) + z_t g_{t-1}          h_t = V g_t

    Beyond the paper: items have one vector for input and output, and all items are compared with where they are few.
    """

    spec = GRU
    cell = torch.nn.GRU
    gates = 3
    held_widths = 10


class Lstm(_Recurrent):
    """Long short-term memory over the history (Hochreiter and Schmidhuber 1997), trained like `Gru`."""

    spec = LSTM
    cell = torch.nn.LSTM
    gates = 4
    held_widths = 32


class SasRec(SequenceRecommender):
    """Causal self-attention over the history (SASRec, Kang and McAuley 2018).

    The vectors of the items, times √factors, plus vectors of their positions, counted from the end, go through
    `blocks` blocks of

        x ← x + attention(normal(x))     x ← x + W₂ gelu(W₁ normal(x))

    in which an entry attends to itself and what came before; the state is the normalised last x. Beyond the paper:
    normalisation goes before each part, the layers between are four times as wide, and the loss compares with all
    items (Klenitskiy and Vasilev, Turning Dross Into Gold Loss, RecSys 2023) unless told otherwise.
    """

    spec = SASREC

    def _new_network(self, n_items: int, length: int, dropout: float, generator: torch.Generator) -> SequenceNetwork:
        params = self.params
        return SelfAttentionNetwork(n_items, params.factors, params.blocks, params.heads, length, dropout, generator)

    def _network_sizes(self) -> tuple[int, int]:
        params = self.params
        weights = params.blocks * params.factors * (12 * params.factors + 13) + 2 * params.factors
        return weights, params.factors * (10 + 80 * params.blocks)
