"""RunContext: all that a running algorithm may say or ask."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recsys_desktop.api.errors import CannotServe, InvalidParameter

if TYPE_CHECKING:
    from recsys_desktop.api.dataset import Dataset
    from recsys_desktop.api.recommender import Recommender


class Validation(NamedTuple):
    """One figure on held-out data: `name` as in "ndcg@10", and whether larger is better."""

    name: str
    value: float
    larger_is_better: bool = True

    def better_than(self, other: Validation | None) -> bool:
        """Whether this figure beats `other`; anything beats None, and NaN beats nothing."""
        if other is None:
            return not np.isnan(self.value)
        return self.value > other.value if self.larger_is_better else self.value < other.value


def check_device(name: object) -> str:
    """The name of a device as it is, where it is "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises
    ------
    InvalidParameter: it is something else.
    """
    if isinstance(name, str) and re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?|mps", name):
        return name
    raise InvalidParameter("device", f"{name!r} is no device; the devices are auto, cpu, cuda, cuda:N (N from 0), mps")


class RunContext:
    """What surrounds one run. This base runs silently, to the end, without validation; faces subclass it.

    Parameters
    ----------
    seed: every random draw of the run comes from it.
    threads: how many threads the run may use.
    device: "auto", "cpu", "cuda", "cuda:N" or "mps", for those who use torch.
    epochs: train exactly this many epochs, without validation or early stopping; None leaves it to the parameters.
    checkpoints: an existing folder where the run may keep what it needs to resume, or None.
    chosen: what an earlier fit of the same model chose for parameters that were left open, to be kept; see
    `Recommender.setting`.

    Attributes
    ----------
    earlier_seconds: how long what is taken up from checkpoints took when it was computed; whoever takes it up adds it.

    Raises
    ------
    InvalidParameter: there is no such device; whether the machine has it is seen where it is used.
    """

    def __init__(
        self,
        seed: int = 42,
        *,
        threads: int | None = None,
        device: str = "auto",
        epochs: int | None = None,
        checkpoints: Path | None = None,
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        self.seed = seed
        self.threads = threads if threads is not None else max(1, min(os.cpu_count() or 1, 8))
        self.device = check_device(device)
        self.epochs = epochs
        self.checkpoints = checkpoints
        self.chosen = dict(chosen or {})
        self.earlier_seconds = 0.0

    @property
    def should_stop(self) -> bool:
        """True when the person has asked to stop; iterative training looks at least once a second and ends early."""
        return False

    @property
    def validates(self) -> bool:
        """Whether `validate` will answer without `held_out`: ask before paying for a pause."""
        return False

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the run is: fraction in 0..1, and what it is doing."""

    def log(self, step: int, **values: float) -> None:
        """Record figures of one step (an epoch, a sweep): loss, validation figure; none is lost."""

    def validate(
        self, model: Recommender, held_out: Dataset | None = None, history: Dataset | None = None
    ) -> Validation | None:
        """The figure of a (partly trained) model on held-out data, or None where there is none.

        held_out, history: score this data, for people with this history, instead of the run's own; both in the model's
        vocabulary. Given both, every context but this silent base answers.
        """
        return None

    def fit(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        """Fit another algorithm by id, for hybrids.

        Raises
        ------
        CannotServe: this context knows no other algorithms. CannotFit: the member cannot be fitted.
        """
        raise CannotServe(f"this run cannot fit '{algorithm}': it was started without the engine")

    def generator(self, name: str = "") -> np.random.Generator:
        """A random generator that depends on the seed and on `name` only."""
        salt = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng([self.seed, salt])
