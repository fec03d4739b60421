"""The training loop: early stopping, best weights, epochs, stopping, clipping, divergence, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recsys_desktop.api import InvalidParameter, RunContext, Validation
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    SeededDropout,
    TrainingDiverged,
    TrainingResult,
    TrainingSettings,
    adam,
    choose_device,
    fitting_batch_size,
    seeded,
    shuffled_batches,
    torch_threads,
    train,
)


class Recorded(RunContext):
    """Keeps what is logged; validates; stops after so many batches."""

    def __init__(self, *, validates: bool = False, stop_after: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.fractions: list[float] = []
        self._validates = validates
        self._left = stop_after

    @property
    def validates(self) -> bool:
        return self._validates

    @property
    def should_stop(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0

    def log(self, step: int, **values: float) -> None:
        self.logged.append((step, values))

    def progress(self, fraction: float, text: str = "") -> None:
        self.fractions.append(fraction)


class Line(torch.nn.Module):
    """One weight w; the loss of a batch is the mean of (w x - 3 x)²."""

    def __init__(self, start: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([start]))
        self.dropout = SeededDropout(dropout)

    def loss(self, rows: torch.Tensor) -> BatchLoss:
        return BatchLoss(((self.dropout(rows) * self.w - 3 * rows) ** 2).mean(), len(rows), {"weight": self.w})


def learn(
    network: Line, run: RunContext, figures: list[float] | None = None, size: int = 40, **settings: Any
) -> TrainingResult:
    chosen = TrainingSettings(**{"epochs": 6, "patience": 2, "learning_rate": 0.1, **settings})
    values = torch.linspace(0.5, 1.5, size)
    remaining = iter(figures or [])

    def batches(generator: np.random.Generator) -> EpochBatches[torch.Tensor]:
        return EpochBatches(-(-size // 8), (values[rows] for rows in shuffled_batches(size, 8, generator)))

    def validate() -> Validation | None:
        return Validation("ndcg@10", next(remaining))

    return train(network, adam(network, chosen.learning_rate), batches, network.loss, chosen, run, validate)


def test_it_learns_and_logs_every_epoch() -> None:
    run, network = Recorded(), Line()
    result = learn(network, run, epochs=40)
    assert network.w.item() == pytest.approx(3, abs=0.05)
    assert [step for step, _ in run.logged] == list(range(1, 41))
    assert result.best_epoch == result.epochs == 40
    assert list(result.losses) == [values["loss"] for _, values in run.logged]
    assert all(set(values) == {"loss", "weight"} for _, values in run.logged)
    assert run.fractions == sorted(run.fractions)
    assert run.fractions[-1] == 1


def test_the_best_weights_are_kept_and_patience_ends_training() -> None:
    run, network = Recorded(validates=True), Line()
    weights: list[float] = []
    figures = [0.1, 0.4, 0.3, 0.2, 0.9]
    original = run.log

    def log(step: int, **values: float) -> None:
        weights.append(network.w.item())
        original(step, **values)

    run.log = log  # type: ignore[method-assign]
    result = learn(network, run, figures)
    assert result.best_epoch == 2
    assert result.epochs == 4
    assert result.validation == Validation("ndcg@10", 0.4)
    assert network.w.item() == weights[1]
    assert [values["ndcg@10"] for _, values in run.logged] == figures[:4]


def test_a_run_that_says_how_many_epochs_does_not_validate() -> None:
    run = Recorded(validates=True, epochs=3)
    result = learn(Line(), run, figures=[])
    assert result.best_epoch == result.epochs == 3


def test_validates_only_every_so_often_and_after_the_last_epoch() -> None:
    run = Recorded(validates=True)
    learn(Line(), run, [0.1, 0.2, 0.3], epochs=5, validate_every=2)
    assert [step for step, values in run.logged if "ndcg@10" in values] == [2, 4, 5]


def test_stops_before_the_next_batch_and_keeps_what_it_has() -> None:
    network = Line()
    result = learn(network, Recorded(stop_after=7))
    assert (result.best_epoch, result.epochs) == (1, 1)
    assert network.w.item() > 0.5
    assert learn(Line(), Recorded(stop_after=0)).best_epoch == 0


def test_a_stop_after_the_best_epoch_goes_back_to_it() -> None:
    first, stopped = Line(), Line()
    learn(first, Recorded(epochs=1))
    result = learn(stopped, Recorded(validates=True, stop_after=13), [0.5, 0.4])
    assert result.best_epoch == 1
    assert stopped.w.item() == first.w.item()


def test_divergence_names_the_step_and_what_to_lower() -> None:
    with pytest.raises(TrainingDiverged, match=r"step 1 of epoch 1; lower 'learning_rate' \(now 0.1\)"):
        learn(Line(start=float("nan")), Recorded())
    with pytest.raises(TrainingDiverged, match=r"'step_size'"):
        learn(Line(start=1e30), Recorded(), lower_first="step_size")


def test_long_gradients_are_scaled_down() -> None:
    network = Line()
    rows = torch.tensor([100.0])
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    settings = TrainingSettings(epochs=1, patience=1, learning_rate=1.0, gradient_norm=0.5)
    train(network, optimizer, lambda _: EpochBatches(1, [rows]), network.loss, settings, RunContext(), lambda: None)
    assert network.w.item() == pytest.approx(0.5, abs=1e-5)


def test_the_learning_rate_falls_linearly_over_all_epochs() -> None:
    network = Line()
    rates: list[float] = []
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)

    def loss(batch: torch.Tensor) -> BatchLoss:
        rates.append(optimizer.param_groups[0]["lr"])
        return network.loss(batch)

    settings = TrainingSettings(epochs=4, patience=1, learning_rate=0.01, decays=True)
    rows = torch.ones(4)
    train(
        network, optimizer, lambda _: EpochBatches(2, [rows, rows]), loss, settings, RunContext(epochs=2), lambda: None
    )
    assert rates == pytest.approx([0.01, 0.00875, 0.0075, 0.00625])


def test_the_seed_alone_decides_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second, other = Line(dropout=0.5), Line(dropout=0.5), Line(dropout=0.5)
    learn(first, RunContext(5))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    learn(second, RunContext(5))
    learn(other, RunContext(6))
    assert first.w.item() == second.w.item() != other.w.item()


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.7])
def test_dropout_leaves_out_the_promised_share_and_keeps_the_mean(probability: float) -> None:
    dropout = SeededDropout(probability)
    dropout.generator = seeded(RunContext(1), "dropout")
    values = torch.ones(400, 501)
    dropped = dropout(values)
    assert (dropped == 0).float().mean().item() == pytest.approx(probability, abs=0.006)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    dropout.eval()
    assert torch.equal(dropout(values), values)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_devices_are_chosen_or_refused_by_name() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(InvalidParameter, match="usable: auto, cpu"):
        choose_device("abacus")


def test_small_data_take_small_batches() -> None:
    assert fitting_batch_size(2048, 100_000) == 2048
    assert fitting_batch_size(2048, 6400) == 200
    assert fitting_batch_size(2048, 10) == 32
    assert fitting_batch_size(16, 10) == 16
