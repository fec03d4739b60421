"""KitRun: the RunContext of the conformance kit, which records what an algorithm says and can ask it to stop."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.errors import CannotServe
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.run import RunContext, Validation
from recsys_desktop.api.testing import naive


class KitRun(RunContext):
    """Records progress and logs, validates naively, fits members, and asks to stop when told to.

    Parameters
    ----------
    members: the algorithms that `fit` knows.
    history, held_out: the run's own validation data; without them `validates` is false.
    stop_after_checks: `should_stop` turns true after it was read this often; 0 asks to stop from the start.
    stop_after_steps: `should_stop` turns true once this many different steps were logged.

    Attributes
    ----------
    fractions: float, as given to `progress`. logged: (step, values) pairs. validations: the figures of the run's own
    data, in order. stop_checks: how often `should_stop` was read.
    """

    def __init__(
        self,
        seed: int = 42,
        *,
        threads: int = 1,
        epochs: int | None = None,
        members: Sequence[AlgorithmSpec] = (),
        history: Dataset | None = None,
        held_out: Dataset | None = None,
        stop_after_checks: int | None = None,
        stop_after_steps: int | None = None,
    ) -> None:
        super().__init__(seed, threads=threads, device="cpu", epochs=epochs)
        self.members = {spec.id: spec for spec in members}
        self.history = history
        self.held_out = held_out
        self.stop_after_checks = stop_after_checks
        self.stop_after_steps = stop_after_steps
        self.fractions: list[float] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.validations: list[Validation] = []
        self.stop_checks = 0
        self._lock = threading.Lock()

    @property
    def steps(self) -> list[int]:
        """The different steps that were logged, in the order of their first figure."""
        return list(dict.fromkeys(step for step, _ in self.logged))

    @property
    def should_stop(self) -> bool:
        with self._lock:
            self.stop_checks += 1
            if self.stop_after_checks is not None and self.stop_checks > self.stop_after_checks:
                return True
            return self.stop_after_steps is not None and len(self.steps) >= self.stop_after_steps

    @property
    def validates(self) -> bool:
        return self.held_out is not None

    def progress(self, fraction: float, text: str = "") -> None:
        with self._lock:
            self.fractions.append(float(fraction))

    def log(self, step: int, **values: float) -> None:
        with self._lock:
            self.logged.append((int(step), dict(values)))

    def validate(
        self, model: Recommender, held_out: Dataset | None = None, history: Dataset | None = None
    ) -> Validation | None:
        own = held_out is None and history is None
        held_out = self.held_out if held_out is None else held_out
        history = self.history if history is None else history
        if held_out is None or history is None or not len(held_out):
            return None
        if model.spec.capabilities.ranks:
            figure = Validation("ndcg@10", naive.mean_ndcg(model, history, held_out))
        else:
            figure = Validation("rmse", naive.rmse(model, history, held_out), larger_is_better=False)
        if own:
            self.validations.append(figure)
        return figure

    def fit(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        if algorithm not in self.members:
            known = ", ".join(self.members) or "none"
            raise CannotServe(f"this run knows no algorithm '{algorithm}'; name it in `members` (known: {known})")
        spec = self.members[algorithm]
        run = KitRun(self.seed, threads=self.threads, members=list(self.members.values()))
        return spec.load()(spec.params.parse(params)).fit(train, run)
