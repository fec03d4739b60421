"""The training loop of every torch model: epochs, early stopping, best weights, limits on threads, seeds that hold."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from recsys_desktop.api import InvalidParameter, RecSysError, RunContext, Validation

Batch = TypeVar("Batch")

SMALLEST_BATCH = 32
LEAST_STEPS = 32
LOWEST_RATE = 0.02
"""Share of the learning rate that is left at the end of a decay."""


class TrainingDiverged(RecSysError):
    """The loss or a gradient is no number any more; the message names the step and the setting to lower."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to train.

    epochs: the most epochs, where the run does not say. patience: how many validations without a better figure end
    training. learning_rate: the optimiser's. validate_every: epochs between validations. decays: let the learning rate
    fall linearly, step by step, to a fiftieth at the end of `epochs`. gradient_norm: the largest Euclidean norm of all
    gradients together, larger ones are scaled down to it; None leaves them. threads: the most that a step can make use
    of, where the run allows so many: a step of a few milliseconds is done sooner by one, and with one the result does
    not depend on how many the run has. lower_first: the parameter that the message of a diverged run tells to lower.
    """

    epochs: int
    patience: int
    learning_rate: float
    validate_every: int = 1
    decays: bool = False
    gradient_norm: float | None = None
    threads: int = 1
    lower_first: str = "learning_rate"


@dataclass(frozen=True)
class TrainingResult:
    """What training came to.

    best_epoch: the epoch (from 1) whose weights the network has now; 0 where it was stopped in the first. epochs: the
    epochs that were completed. validation: the figure of the best epoch, where the run validates. losses: the mean loss
    of each epoch.
    """

    best_epoch: int
    epochs: int
    validation: Validation | None
    losses: tuple[float, ...]


class BatchLoss(NamedTuple):
    """The loss of a batch: its mean (a tensor of no dimension, with gradients), over how many examples, and figures.

    figures: means over the same examples that are logged beside the loss, such as its parts.
    """

    mean: torch.Tensor
    examples: int
    figures: Mapping[str, torch.Tensor] = {}


class EpochBatches(Generic[Batch]):
    """The mini-batches of one epoch. steps: how many there are, for progress. batches: them, made when asked for."""

    def __init__(self, steps: int, batches: Iterable[Batch]) -> None:
        self.steps = steps
        self.batches = batches


def choose_device(name: str) -> torch.device:
    """The device to compute on: "auto" takes CUDA, else Apple MPS, else the processor.

    Raises
    ------
    InvalidParameter: the named device is not there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if not present.get(name.split(":")[0], False):
        usable = ", ".join(kind for kind, there in present.items() if there)
        raise InvalidParameter("device", f"'{name}' is not available on this machine; usable: auto, {usable}")
    return torch.device(name)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use at most `threads` threads on the calling thread meanwhile.

    With its own default, all cores, torch is slowed down many times on a machine that is busy.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seeded(run: RunContext, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator that depends on the run's seed and on `name` only; torch's global one is never used."""
    digest = hashlib.blake2b(f"{run.seed}:{name}".encode(), digest_size=8).digest()
    generator = torch.Generator(device)
    generator.manual_seed(int.from_bytes(digest, "little") >> 1)
    return generator


class SeededDropout(torch.nn.Module):
    """Dropout (Srivastava et al. 2014) that draws from the generator it is given, not from torch's global one.

    Each value is 0 with probability `probability` and divided by 1 - probability otherwise; in evaluation mode nothing
    changes. `train` reseeds every one of a network in each epoch.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """values of any shape; the same shape comes back."""
        if not self.training or self.probability == 0:
            return values
        if values.device.type == "cpu":
            return values * self._mask_from_bytes(values.shape)
        kept = torch.empty_like(values, requires_grad=False).bernoulli_(1 - self.probability, generator=self.generator)
        return values * kept.div_(1 - self.probability)

    def _mask_from_bytes(self, shape: torch.Size) -> torch.Tensor:
        """One random byte a value, many times faster than `bernoulli_`; the probability is met to 1/512."""
        size = shape.numel()
        words = torch.empty(-(-size // 8), dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        kept_of_256 = max(1, round(256 * (1 - self.probability)))
        kept = words.view(torch.uint8)[:size].view(shape) < kept_of_256
        return kept.to(torch.float32).mul_(256 / kept_of_256)


def adam(network: torch.nn.Module, learning_rate: float, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Adam (Kingma and Ba 2015) over all parameters, in one fused pass where the device has it."""
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in network.parameters())
    return torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=fused)


def fitting_batch_size(largest: int, examples: int) -> int:
    """The batch size for so many examples: at most `largest`, smaller where an epoch would have too few steps."""
    return max(1, min(largest, max(SMALLEST_BATCH, examples // LEAST_STEPS)))


def shuffled_batches(size: int, batch_size: int, generator: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Positions 0..size in random order, in batches: int64 (at most batch_size,) each."""
    order = generator.permutation(size)
    for begin in range(0, size, batch_size):
        yield order[begin : begin + batch_size]


def arrays_of(network: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    """The network's weights by name as NumPy arrays; on the processor they share memory with the network."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def train(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    epoch_batches: Callable[[np.random.Generator], EpochBatches[Batch]],
    loss: Callable[[Batch], BatchLoss],
    settings: TrainingSettings,
    run: RunContext,
    validate: Callable[[], Validation | None],
) -> TrainingResult:
    """Train a network until the figure on held-out data stops rising, and leave it with its best weights.

    Where `run.epochs` is given, exactly so many epochs are trained, without validation; where the run does not
    validate, `settings.epochs`. A run that is asked to stop ends before the next batch, and keeps the best weights
    where it has validated and the present ones otherwise. Each epoch's mean loss and figure go to `run.log`.

    Parameters
    ----------
    epoch_batches: makes one epoch's batches; the generator depends on the seed and the epoch only.
    loss: of a batch, by the present weights.
    validate: the figure of the present weights, in evaluation mode; asked only where the run validates.

    Raises
    ------
    TrainingDiverged: the loss or a gradient is not finite.
    """
    epochs = settings.epochs if run.epochs is None else run.epochs
    validates = run.epochs is None and run.validates
    dropouts = [module for module in network.modules() if isinstance(module, SeededDropout)]
    device = next(network.parameters()).device
    best: Validation | None = None
    best_epoch, waited = 0, 0
    best_weights: dict[str, torch.Tensor] | None = None
    losses: list[float] = []
    with torch_threads(min(run.threads, settings.threads)):
        for epoch in range(1, epochs + 1):
            chance = seeded(run, f"dropout {epoch}", device)
            for dropout in dropouts:
                dropout.generator = chance
            network.train()
            means = _epoch(network, optimizer, epoch_batches, loss, settings, run, epoch, epochs)
            network.eval()
            if means is None:
                break
            losses.append(means["loss"])
            figure = None
            if validates and (epoch % settings.validate_every == 0 or epoch == epochs):
                figure = validate()
            run.log(epoch, **means, **({} if figure is None else {figure.name: figure.value}))
            if figure is None:
                continue
            if figure.better_than(best):
                best, best_epoch, waited = figure, epoch, 0
                best_weights = _copied(network, best_weights)
            else:
                waited += 1
                if waited >= settings.patience:
                    break
    if best_weights is None:
        return TrainingResult(len(losses), len(losses), None, tuple(losses))
    network.load_state_dict(best_weights)
    return TrainingResult(best_epoch, len(losses), best, tuple(losses))


def _epoch(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    epoch_batches: Callable[[np.random.Generator], EpochBatches[Batch]],
    loss: Callable[[Batch], BatchLoss],
    settings: TrainingSettings,
    run: RunContext,
    epoch: int,
    epochs: int,
) -> dict[str, float] | None:
    """Train one epoch; its mean loss and figures, or None where it was stopped or had no batch."""
    totals: dict[str, float] = {}
    examples = 0
    made = epoch_batches(run.generator(f"epoch {epoch}"))
    for step, batch in enumerate(made.batches, 1):
        if run.should_stop:
            return None
        if settings.decays:
            _set_rate(optimizer, settings, epoch - 1 + (step - 1) / max(made.steps, step))
        optimizer.zero_grad(set_to_none=True)
        found = loss(batch)
        torch.autograd.backward(found.mean)
        norm = _clipped_norm(network, settings.gradient_norm)
        amount = float(found.mean.detach())
        if not (math.isfinite(amount) and math.isfinite(norm)):
            what = "loss" if not math.isfinite(amount) else "gradient"
            raise TrainingDiverged(
                f"training diverged: the {what} is not finite at step {step} of epoch {epoch}; lower "
                f"'{settings.lower_first}' (now {settings.learning_rate:g})"
            )
        optimizer.step()
        for name, figure in {"loss": found.mean, **found.figures}.items():
            totals[name] = totals.get(name, 0.0) + float(figure.detach()) * found.examples
        examples += found.examples
        done = (epoch - 1 + step / max(made.steps, step)) / epochs
        run.progress(done, f"epoch {epoch} of at most {epochs}")
    return {name: total / examples for name, total in totals.items()} if examples else None


def _set_rate(optimizer: torch.optim.Optimizer, settings: TrainingSettings, epochs_done: float) -> None:
    left = max(LOWEST_RATE, 1 - epochs_done / settings.epochs)
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * left


def _clipped_norm(network: torch.nn.Module, largest: float | None) -> float:
    if largest is None:
        return 0.0
    return float(torch.nn.utils.clip_grad_norm_(network.parameters(), largest))


def _copied(network: torch.nn.Module, into: dict[str, torch.Tensor] | None) -> dict[str, torch.Tensor]:
    """The weights, copied; into the tensors of the copy before where there is one."""
    if into is None:
        return {name: value.detach().clone() for name, value in network.state_dict().items()}
    for name, value in network.state_dict().items():
        into[name].copy_(value.detach())
    return into
