"""The training loop of every torch model: early stopping, best weights, checkpoints, short memory, seeds that hold."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from recsys_desktop.api import Dataset, InvalidParameter, Recommender, RecSysError, RunContext, Validation
from recsys_desktop.api.run import check_device
from recsys_desktop.toolkit.checkpoints import CheckpointFile, digest

logger = logging.getLogger(__name__)

Batch = TypeVar("Batch")
Rows = TypeVar("Rows", bound=tuple[Any, ...])

_MAIN_STAGE = "training"

SMALLEST_BATCH = 32
LEAST_STEPS = 32
LOWEST_RATE = 0.02
"""Share of the learning rate that is left at the end of a decay."""


class TrainingDiverged(RecSysError):
    """The loss or a gradient is no number any more; the message names the step and the setting to lower."""


class TrainingOutOfMemory(RecSysError):
    """A batch does not fit into memory, not even in the smallest parts; the message names what to lower."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to train.

    epochs: the most epochs, where the run does not say. patience: how many validations without a better figure end
    training. learning_rate: the optimiser's. validate_every: epochs between validations. decays: let the learning rate
    fall linearly, step by step, to a fiftieth at the end of `epochs`. gradient_norm: the largest Euclidean norm of all
    gradients together, larger ones are scaled down to it; None leaves them. threads: the most that a step can make use
    of, where the run allows so many: a step of a few milliseconds is done sooner by one, and with one the result does
    not depend on how many the run has. lower_first: the parameter that the message of a diverged run tells to lower.
    mixed_precision: compute the loss with 16-bit numbers where `half_precision` finds that the device gains by it; for
    networks whose time goes into large matrix products.
    """

    epochs: int
    patience: int
    learning_rate: float
    validate_every: int = 1
    decays: bool = False
    gradient_norm: float | None = None
    threads: int = 1
    lower_first: str = "learning_rate"
    mixed_precision: bool = False


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
    InvalidParameter: there is no such device, or not on this machine.
    """
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    present = {"cpu": 1, "cuda": cuda, "mps": int(torch.backends.mps.is_available())}
    if check_device(name) == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    kind, _, number = name.partition(":")
    if int(number or 0) >= present[kind]:
        usable = ", ".join(kind for kind, count in present.items() if count)
        if cuda > 1:
            usable += f", cuda:0 to cuda:{cuda - 1}"
        raise InvalidParameter("device", f"'{name}' is not available on this machine; usable: auto, {usable}")
    return torch.device(name)


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit type in which a device multiplies matrices faster: on CUDA only; elsewhere None, full precision."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


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


@dataclass
class _Progress:
    """How far a training is; a checkpoint holds this beside the weights and the state of the optimiser.

    parts: into how many each batch is divided, after memory was short. logged: the figures of each epoch. seconds: how
    long it took.
    """

    epoch: int = 0
    best: Validation | None = None
    best_epoch: int = 0
    waited: int = 0
    parts: int = 1
    finished: bool = False
    seconds: float = 0.0
    logged: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        values = {name: value for name, value in vars(self).items() if name != "best"}
        return {**values, "best": None if self.best is None else list(self.best)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> _Progress:
        best = values["best"]
        return cls(**{**values, "best": None if best is None else Validation(*best)})


def halves_by_rows(batch: Rows) -> Sequence[Rows]:
    """A named tuple of tensors, with an example a row in each (or None), in two halves; itself where it has one row."""
    size = next(len(part) for part in batch if part is not None)
    if size < 2:
        return [batch]
    spans = (slice(0, size // 2), slice(size // 2, size))
    kind: Any = type(batch)
    return [kind(*(None if part is None else part[span] for part in batch)) for span in spans]


def checkpoint_key(model: Recommender, train_data: Dataset, run: RunContext) -> str:
    """The `key` of a model's training: its algorithm, parameters and data; empty where the run keeps no checkpoints."""
    if run.checkpoints is None:
        return ""
    return json.dumps([model.spec.id, model.params.to_dict(), train_data.fingerprint], sort_keys=True)


def train(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    epoch_batches: Callable[[np.random.Generator], EpochBatches[Batch]],
    loss: Callable[[Batch], BatchLoss],
    settings: TrainingSettings,
    run: RunContext,
    validate: Callable[[], Validation | None],
    *,
    begin_epoch: Callable[[int], None] | None = None,
    halves: Callable[[Batch], Sequence[Batch]] | None = None,
    stage: str = _MAIN_STAGE,
    key: str = "",
    epochs: int | None = None,
    span: tuple[float, float] = (0.0, 1.0),
) -> TrainingResult:
    """Train a network until the figure on held-out data stops rising, and leave it with its best weights.

    Where `run.epochs` is given, exactly so many epochs are trained, without validation; where the run does not
    validate, `settings.epochs`. A run that is asked to stop ends before the next batch, and keeps the best weights
    where it has validated and the present ones otherwise. Each epoch's mean loss and figure go to `run.log`.

    Where the run has a place for checkpoints, one is written at ends of epochs, at most every ten seconds; the same
    training started again takes up where that was written, tells `run.log` of the epochs before, and ends with the same
    bits as one that was never interrupted, provided that all chance in an epoch comes from the generators given to
    `epoch_batches` and to `SeededDropout`, or is seeded anew in `begin_epoch`. A checkpoint of other initial weights,
    settings, seed, number of epochs, `stage` or `key` is not used.

    Parameters
    ----------
    epoch_batches: makes one epoch's batches; the generator depends on the seed and the epoch only.
    loss: of a batch, by the present weights.
    validate: the figure of the present weights, in evaluation mode; asked only where the run validates.
    begin_epoch: called with the number of each epoch, from 1, before its batches are made: the place to seed further
        generators (`seeded(run, f"codes {epoch}")`) and to set what changes from epoch to epoch.
    halves: divides a batch into two, or gives it back where it cannot be. Where memory runs out, batches are halved
        until they fit, for the rest of the training; their gradients are added, so that a step stays what it was.
    stage: names one of several trainings within one `fit`, in letters, digits and hyphens; the figures of all but
        "training" are logged under names that begin with it.
    key: what else a checkpoint must agree in; see `checkpoint_key`.
    epochs: train exactly so many, without validation, whatever the run says: for what goes before the main training.
    span: the stretch of the run's progress that this training is.

    Raises
    ------
    TrainingDiverged: the loss or a gradient is not finite. TrainingOutOfMemory: a batch does not fit into memory.
    """
    part = _Part(stage, span, epochs)
    training = _Training(network, optimizer, epoch_batches, loss, settings, run, halves, part)
    if run.checkpoints is not None:
        training.keep_in(CheckpointFile(run.checkpoints, stage, training.identity(key)))
    with torch_threads(min(run.threads, settings.threads)):
        return training.complete(validate, begin_epoch)


class _Part(NamedTuple):
    """Which part of a fit a training is: see `train`."""

    stage: str
    span: tuple[float, float]
    epochs: int | None


class _Training(Generic[Batch]):
    """One training: what it trains, how far it is, its best weights, and where its checkpoint lies."""

    def __init__(
        self,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        epoch_batches: Callable[[np.random.Generator], EpochBatches[Batch]],
        loss: Callable[[Batch], BatchLoss],
        settings: TrainingSettings,
        run: RunContext,
        halves: Callable[[Batch], Sequence[Batch]] | None,
        part: _Part,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.epoch_batches = epoch_batches
        self.loss = loss
        self.settings = settings
        self.run = run
        self.halves = halves
        self.part = part
        fixed = run.epochs if part.epochs is None else part.epochs
        self.epochs = settings.epochs if fixed is None else fixed
        self.validates = fixed is None and run.validates
        self.device = next(network.parameters()).device
        self.dropouts = [module for module in network.modules() if isinstance(module, SeededDropout)]
        self.progress = _Progress()
        self.began = time.perf_counter()
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.checkpoint: CheckpointFile | None = None
        self.half = half_precision(self.device) if settings.mixed_precision else None
        # Gradients of 16-bit floats with five bits of exponent vanish unless the loss is scaled up.
        self.scaler = torch.amp.GradScaler(self.device.type) if self.half == torch.float16 else None

    def complete(
        self, validate: Callable[[], Validation | None], begin_epoch: Callable[[int], None] | None
    ) -> TrainingResult:
        """Train to the end, from where the checkpoint was written where there is one."""
        progress, settings = self.progress, self.settings
        while not progress.finished and progress.epoch < self.epochs:
            epoch = progress.epoch + 1
            chance = seeded(self.run, f"dropout {epoch}", self.device)
            for dropout in self.dropouts:
                dropout.generator = chance
            if begin_epoch is not None:
                begin_epoch(epoch)
            self.network.train()
            means = self._epoch(epoch)
            self.network.eval()
            if means is None:
                return self._result()
            figure = None
            if self.validates and (epoch % settings.validate_every == 0 or epoch == self.epochs):
                figure = validate()
            logged = {**means, **({} if figure is None else {figure.name: figure.value})}
            self._log(epoch, logged)
            progress.logged.append(logged)
            progress.epoch = epoch
            if figure is not None and figure.better_than(progress.best):
                progress.best, progress.best_epoch, progress.waited = figure, epoch, 0
                self.best_weights = _copied(self.network, self.best_weights)
            elif figure is not None:
                progress.waited += 1
            progress.finished = epoch == self.epochs or progress.waited >= settings.patience
            self._keep()
        return self._result()

    def _result(self) -> TrainingResult:
        progress = self.progress
        losses = tuple(values["loss"] for values in progress.logged)
        if self.best_weights is None:
            return TrainingResult(progress.epoch, progress.epoch, None, losses)
        self.network.load_state_dict(self.best_weights)
        return TrainingResult(progress.best_epoch, progress.epoch, progress.best, losses)

    def _epoch(self, epoch: int) -> dict[str, float] | None:
        """Train one epoch; its mean loss and figures, or None where it was stopped or had no batch."""
        run, settings, network, optimizer = self.run, self.settings, self.network, self.optimizer
        totals: dict[str, float] = {}
        examples = 0
        made = self.epoch_batches(run.generator(f"epoch {epoch}"))
        for step, batch in enumerate(made.batches, 1):
            if run.should_stop:
                return None
            if settings.decays:
                _set_rate(optimizer, settings, epoch - 1 + (step - 1) / max(made.steps, step))
            found = self._gradients(batch, f"step {step} of epoch {epoch}")
            if self.scaler is not None:
                self.scaler.unscale_(optimizer)
            norm = _clipped_norm(network, settings.gradient_norm)
            # A scaled loss may overflow: then the scaler leaves the step out and lowers its scale.
            norm_is_finite = self.scaler is not None or math.isfinite(norm)
            if not (math.isfinite(found.figures["loss"]) and norm_is_finite):
                what = "gradient" if math.isfinite(found.figures["loss"]) else "loss"
                raise TrainingDiverged(
                    f"training diverged: the {what} is not finite at step {step} of epoch {epoch}; lower "
                    f"'{settings.lower_first}' (now {settings.learning_rate:g})"
                )
            if self.scaler is None:
                optimizer.step()
            else:
                self.scaler.step(optimizer)
                self.scaler.update()
            for name, figure in found.figures.items():
                totals[name] = totals.get(name, 0.0) + figure * found.examples
            examples += found.examples
            done = epoch - 1 + step / max(made.steps, step)
            place = "" if self.device.type == "cpu" else f" on {self.device}"
            parts = f", each batch in {self.progress.parts} parts to fit memory" if self.progress.parts > 1 else ""
            self._say(done, f"epoch {epoch} of at most {self.epochs}{place}{parts}")
        return {name: total / examples for name, total in totals.items()} if examples else None

    def _gradients(self, batch: Batch, place: str) -> _Figures:
        """Put the gradients of a batch's mean loss into the network, in smaller parts where memory is short."""
        while True:
            pieces = self._divided(batch)
            try:
                return self._accumulated(pieces)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0] if str(error) else "out of memory"
            # Outside of the handler: while it runs, the traceback holds what the failed attempt allocated.
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.progress.parts *= 2
            if len(self._divided(batch)) == len(pieces):
                raise TrainingOutOfMemory(
                    f"memory ran out at {place}, though batches were made as small as they can be: lower 'batch_size' "
                    f"or the sizes of the network, or free memory ({reason})"
                )
            logger.warning("Memory ran out at %s: batches are halved from here on (%s)", place, reason)

    def _divided(self, batch: Batch) -> list[Batch]:
        pieces, parts = [batch], 1
        while parts < self.progress.parts and self.halves is not None:
            pieces = [half for piece in pieces for half in self.halves(piece)]
            parts *= 2
        return pieces

    def _accumulated(self, pieces: Sequence[Batch]) -> _Figures:
        """The gradients of the mean over all examples of the pieces, which are computed one after the other."""
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        examples = unit = 0
        for piece in pieces:
            half = self.half
            with nullcontext() if half is None else torch.autocast(self.device.type, half):
                found = self.loss(piece)
            unit = unit or found.examples
            share = 1.0 if len(pieces) == 1 else found.examples / (unit * len(pieces))
            mean = found.mean if share == 1.0 else found.mean * share
            torch.autograd.backward(mean if self.scaler is None else self.scaler.scale(mean))
            examples += found.examples
            for name, figure in {"loss": found.mean, **found.figures}.items():
                totals[name] = totals.get(name, 0.0) + float(figure.detach()) * found.examples
        if examples != unit * len(pieces):
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    parameter.grad *= unit * len(pieces) / examples
        return _Figures(examples, {name: total / examples for name, total in totals.items()})

    def identity(self, key: str) -> dict[str, Any]:
        """What a checkpoint must agree in to be this training's: everything that decides the result."""
        options = [
            {name: value for name, value in group.items() if name not in ("params", "lr")}
            for group in self.optimizer.param_groups
        ]
        return {
            "key": key,
            "seed": self.run.seed,
            "epochs": self.epochs,
            "validates": self.validates,
            "settings": asdict(self.settings),
            "optimizer": [type(self.optimizer).__name__, repr(options)],
            "precision": str(self.half),
            "weights": digest(self.network.state_dict().items()),
        }

    def keep_in(self, checkpoint: CheckpointFile) -> None:
        """Keep a checkpoint in this file from now on; take up where it was written, if it was."""
        self.checkpoint = checkpoint
        found = checkpoint.read(self.device)
        if found is None:
            return
        tensors, state = found
        self.progress = _Progress.from_dict(state["progress"])
        self.run.earlier_seconds += self.progress.seconds
        self.began = time.perf_counter() - self.progress.seconds
        self.network.load_state_dict(_under(tensors, "network"))
        self.best_weights = _under(tensors, "best") or None
        slots: dict[int, dict[str, Any]] = {int(slot): dict(rest) for slot, rest in state["optimizer"].items()}
        for name, tensor in _under(tensors, "optimizer").items():
            slot, _, what = name.partition(".")
            slots[int(slot)][what] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        for group, rate in zip(groups, state["rates"], strict=True):
            group["lr"] = rate
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        self.network.eval()
        for epoch, values in enumerate(self.progress.logged, 1):
            self._log(epoch, values)
        self._say(self.progress.epoch, f"resumed after epoch {self.progress.epoch}")

    def _log(self, epoch: int, values: Mapping[str, float]) -> None:
        prefix = "" if self.part.stage == _MAIN_STAGE else f"{self.part.stage} "
        self.run.log(epoch, **{prefix + name: value for name, value in values.items()})

    def _say(self, epochs_done: float, text: str) -> None:
        start, end = self.part.span
        prefix = "" if self.part.stage == _MAIN_STAGE else f"{self.part.stage}: "
        self.run.progress(start + (end - start) * epochs_done / self.epochs, prefix + text)

    def _keep(self) -> None:
        """Write a checkpoint, if it is time."""
        checkpoint, progress = self.checkpoint, self.progress
        if checkpoint is None or not checkpoint.due(progress.finished):
            return
        progress.seconds = time.perf_counter() - self.began
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in (self.best_weights or {}).items()}
        slots: dict[str, dict[str, Any]] = {}
        for slot, values in self.optimizer.state_dict()["state"].items():
            slots[str(slot)] = {}
            for name, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer.{slot}.{name}"] = value
                else:
                    slots[str(slot)][name] = value
        state = {
            "progress": progress.to_dict(),
            "optimizer": slots,
            "rates": [group["lr"] for group in self.optimizer.param_groups],
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
        }
        checkpoint.write(tensors, state)


class _Figures(NamedTuple):
    """Means over the examples of one step, "loss" among them."""

    examples: int
    figures: dict[str, float]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's or the processor's memory could not be allocated."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return any(sign in text for sign in ("can't allocate memory", "not enough memory", "out of memory"))


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix` and a dot, without them."""
    start = len(prefix) + 1
    return {name[start:]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


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
