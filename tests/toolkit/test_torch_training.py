"""The training loop: early stopping, best weights, stopping, divergence, checkpoints, short memory, precision."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from recsys_desktop.api import InvalidParameter, RunContext, Validation
from recsys_desktop.toolkit import checkpoints, torch_training
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    SeededDropout,
    TrainingDiverged,
    TrainingOutOfMemory,
    TrainingResult,
    TrainingSettings,
    adam,
    choose_device,
    fitting_batch_size,
    half_precision,
    halves_by_rows,
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
    with pytest.raises(InvalidParameter, match="'abacus' is no device"):
        choose_device("abacus")
    with pytest.raises(InvalidParameter, match="'cuda:999' is not available on this machine; usable: auto, cpu"):
        choose_device("cuda:999")


def test_small_data_take_small_batches() -> None:
    assert fitting_batch_size(2048, 100_000) == 2048
    assert fitting_batch_size(2048, 6400) == 200
    assert fitting_batch_size(2048, 10) == 32
    assert fitting_batch_size(16, 10) == 16


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint at the end of every epoch."""
    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "LARGEST_SHARE", float("inf"))


class Interrupted(Exception):
    """What a test throws to leave a training in the middle."""


KILLED = """
import sys, time
from pathlib import Path
import torch
from recsys_desktop.api import RunContext, Validation
from recsys_desktop.toolkit import checkpoints
from recsys_desktop.toolkit.torch_training import (
    BatchLoss, EpochBatches, SeededDropout, TrainingSettings, adam, seeded, shuffled_batches, train,
)

checkpoints.INTERVAL_SECONDS, checkpoints.LARGEST_SHARE = 0.0, float("inf")
folder, out, slow = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "slow"

class Run(RunContext):
    validates = True
    def log(self, step, **values):
        print(step, values, flush=True)
        if slow and step == 7:
            time.sleep(600)

run = Run(9, checkpoints=folder, device="cpu")
generator = seeded(run, "weights")
network = torch.nn.Sequential(torch.nn.Linear(6, 8), SeededDropout(0.3), torch.nn.Linear(8, 1))
with torch.no_grad():
    for parameter in network.parameters():
        parameter.normal_(generator=generator)
rows = torch.randn(64, 6, generator=seeded(run, "rows"))
state = {}

def begin(epoch):
    state["noise"] = seeded(run, f"noise {epoch}")

def batches(generator):
    return EpochBatches(8, (rows[chosen] for chosen in shuffled_batches(64, 8, generator)))

def loss(batch):
    noise = torch.randn(len(batch), generator=state["noise"])
    return BatchLoss((network(batch)[:, 0] - batch.sum(1) - noise).square().mean(), len(batch))

def validate():
    with torch.no_grad():
        return Validation("rmse", float((network(rows)[:, 0] - rows.sum(1)).square().mean()), False)

settings = TrainingSettings(epochs=12, patience=4, learning_rate=0.05, decays=True, gradient_norm=1.0)
result = train(network, adam(network, 0.05), batches, loss, settings, run, validate, begin_epoch=begin, key="data 1")
torch.save(network.state_dict(), out)
print("result", result.best_epoch, result.epochs, result.losses)
"""


def test_a_killed_training_resumes_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    script = tmp_path / "training.py"
    script.write_text(KILLED, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def command(place: str, pace: str) -> list[str]:
        (tmp_path / place).mkdir(exist_ok=True)
        return [sys.executable, str(script), str(tmp_path / place), str(tmp_path / f"{place}.pt"), pace]

    killed = subprocess.Popen(command("killed", "slow"), stdout=subprocess.PIPE, text=True, env=environment)
    assert killed.stdout is not None
    seen = [next(killed.stdout) for _ in range(7)]
    killed.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed.pt").exists()
    outputs = [
        subprocess.run(command(place, "fast"), capture_output=True, text=True, env=environment, check=True)
        for place in ("killed", "whole")
    ]
    assert outputs[0].stdout == outputs[1].stdout, outputs[0].stderr
    assert outputs[0].stdout.splitlines()[:7] == [line.rstrip() for line in seen]
    resumed, whole = (torch.load(tmp_path / f"{place}.pt", weights_only=True) for place in ("killed", "whole"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def leave_after(epochs: int, network: Line, run: Recorded, **settings: Any) -> None:
    """Train for so many epochs and leave without an orderly end."""

    def batches_left(epoch: int) -> None:
        if epoch > epochs:
            raise Interrupted

    with pytest.raises(Interrupted):
        resume(network, run, begin_epoch=batches_left, **settings)


def resume(network: Line, run: Recorded, **options: Any) -> TrainingResult:
    rows = torch.linspace(0.5, 1.5, 8)
    settings = TrainingSettings(epochs=6, patience=9, learning_rate=options.pop("learning_rate", 0.1))
    optimizer = options.pop("optimizer", torch.optim.Adam)(network.parameters(), lr=settings.learning_rate)
    return train(
        network, optimizer, lambda _: EpochBatches(1, [rows]), network.loss, settings, run, lambda: None, **options
    )


@pytest.mark.usefixtures("eager")
def test_a_resumed_training_repeats_what_it_logged_and_goes_on(tmp_path: Path) -> None:
    whole, resumed = Line(), Line()
    expected = Recorded()
    resume(whole, expected)
    leave_after(4, Line(), Recorded(checkpoints=tmp_path))
    run = Recorded(checkpoints=tmp_path)
    trained: list[int] = []
    result = resume(resumed, run, begin_epoch=trained.append)
    assert trained == [5, 6]
    assert resumed.w.item() == whole.w.item()
    assert run.logged == expected.logged
    assert result.epochs == 6
    again = Recorded(checkpoints=tmp_path)
    trained.clear()
    assert resume(Line(), again, begin_epoch=trained.append) == result
    assert trained == []
    assert again.logged == expected.logged


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"key": "other data"},
        {"start": 1.0},
        {"learning_rate": 0.2},
        {"epochs": 5},
        {"optimizer": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr, weight_decay=0.1)},
    ],
    ids=lambda other: next(iter(other)),
)
@pytest.mark.usefixtures("eager")
def test_a_checkpoint_of_another_training_is_refused(
    other: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave_after(3, Line(), Recorded(seed=1, checkpoints=tmp_path), key="data")
    options = {"key": "data", **other}
    run = Recorded(seed=options.pop("seed", 1), epochs=options.pop("epochs", None), checkpoints=tmp_path)
    trained: list[int] = []
    with caplog.at_level(logging.WARNING):
        resume(Line(options.pop("start", 0.0)), run, begin_epoch=trained.append, **options)
    assert trained[0] == 1
    assert "belongs to another training" in caplog.text


@pytest.mark.usefixtures("eager")
def test_stages_of_a_fit_keep_checkpoints_of_their_own(tmp_path: Path) -> None:
    for stage in ("first", "second"):
        resume(Line(), Recorded(checkpoints=tmp_path), stage=stage)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.safetensors", "second.safetensors"]


def test_a_stage_has_its_own_epochs_names_and_stretch_of_the_progress() -> None:
    run = Recorded(validates=True, epochs=9)
    result = resume(Line(), run, stage="first", epochs=2, span=(0.5, 0.75))
    assert result.epochs == 2
    assert [(step, set(values)) for step, values in run.logged] == [
        (step, {"first loss", "first weight"}) for step in (1, 2)
    ]
    assert run.fractions == [0.625, 0.75]


def test_a_short_training_writes_no_checkpoint(tmp_path: Path) -> None:
    resume(Line(), Recorded(checkpoints=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("eager")
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = Line()
    resume(whole, Recorded(checkpoints=tmp_path))
    file = tmp_path / "training.safetensors"
    file.write_bytes(file.read_bytes()[:-2])
    network = Line()
    with caplog.at_level(logging.WARNING):
        resume(network, Recorded(checkpoints=tmp_path))
    assert "is damaged" in caplog.text
    assert network.w.item() == whole.w.item()


@pytest.mark.usefixtures("eager")
def test_a_disk_that_refuses_costs_the_checkpoint_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result = resume(Line(), Recorded(checkpoints=tmp_path / "absent"))
    assert result.epochs == 6
    assert caplog.text.count("cannot be written") == 1


def test_writing_checkpoints_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 11.0, 12.0, 15.0, 30.0, 34.9, 75.1])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    file = checkpoints.CheckpointFile(tmp_path, "training", {})
    assert file.due(finished=False)
    file.write({}, {})
    assert [file.due(finished=False) for _ in range(3)] == [False, False, True]


class Pair(NamedTuple):
    rows: torch.Tensor
    targets: torch.Tensor
    absent: None = None


def short_of_memory(most: int, error: Exception, halves: Callable[[Any], Any] | None, **options: Any) -> torch.Tensor:
    """The weights of a linear network trained where a batch of more than `most` rows does not fit."""
    rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    network = torch.nn.Linear(3, 1)
    torch.nn.init.ones_(network.weight)
    torch.nn.init.zeros_(network.bias)

    def loss(batch: Pair) -> BatchLoss:
        if len(batch.rows) > most:
            raise error
        return BatchLoss((network(batch.rows)[:, 0] - batch.targets).square().mean(), len(batch.rows))

    def batches(generator: np.random.Generator) -> EpochBatches[Pair]:
        chosen = shuffled_batches(12, 7, generator)
        return EpochBatches(2, (Pair(rows[picked], rows[picked].sum(1)) for picked in chosen))

    settings = TrainingSettings(epochs=4, patience=1, learning_rate=0.1, gradient_norm=1.0)
    run = options.get("run", Recorded())
    train(network, adam(network, 0.1), batches, loss, settings, run, lambda: None, halves=halves)
    return network.weight.detach()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError(),
    ],
)
def test_where_memory_runs_out_batches_are_halved_and_steps_stay_the_same(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    run = Recorded()
    texts: list[str] = []
    run.progress = lambda fraction, text="": texts.append(text)  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        weights = short_of_memory(2, error, halves_by_rows, run=run)
    torch.testing.assert_close(weights, short_of_memory(12, error, None))
    assert "each batch in 4 parts" in texts[0]
    assert caplog.text.count("batches are halved") == 2


def test_memory_that_is_never_enough_names_what_to_lower() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(TrainingOutOfMemory, match=r"step 1 of epoch 1.*lower 'batch_size'"):
        short_of_memory(0, error, halves_by_rows)
    with pytest.raises(TrainingOutOfMemory, match="lower 'batch_size'"):
        short_of_memory(2, error, None)
    with pytest.raises(RuntimeError, match="shapes"):
        short_of_memory(2, RuntimeError("shapes do not match"), halves_by_rows)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_changes_the_arithmetic_and_not_what_is_learnt(
    half: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_training, "half_precision", lambda device: half)
    network = torch.nn.Linear(4, 1)
    rows = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    types: set[torch.dtype] = set()

    def loss(batch: torch.Tensor) -> BatchLoss:
        found = network(batch)
        types.add(found.dtype)
        return BatchLoss((found[:, 0].float() - batch.sum(1)).square().mean(), len(batch))

    settings = TrainingSettings(epochs=150, patience=1, learning_rate=0.1, gradient_norm=5.0, mixed_precision=True)
    optimizer = adam(network, 0.1)
    train(network, optimizer, lambda _: EpochBatches(1, [rows]), loss, settings, RunContext(), lambda: None)
    assert types == {half}
    assert network.weight.dtype == torch.float32
    torch.testing.assert_close(network.weight.detach(), torch.ones(1, 4), atol=0.02, rtol=0)


def test_a_processor_keeps_full_precision() -> None:
    assert half_precision(torch.device("cpu")) is None
