"""A run without the engine: installed algorithms by id, members of hybrids, validation on held-out data."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from recsys_desktop.api import AlgorithmSpec, Dataset, Feedback, Query, Recommender, RunContext, Validation
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse


@cache
def installed_algorithms() -> dict[str, AlgorithmSpec]:
    """Algorithms of every installed plugin by id, the first of an id winning; a plugin that fails raises."""
    found: dict[str, AlgorithmSpec] = {}
    for entry in importlib.metadata.entry_points(group="recsys_desktop"):
        plugin = entry.load()
        if hook := getattr(plugin, "recsys_desktop_algorithms", None):
            for spec in hook():
                found.setdefault(spec.id, spec)
    return found


class HeadlessRun(RunContext):
    """Validates on `held_out` by RMSE for a model that predicts ratings, where there are any, else by NDCG@10, as the
    engine does; prints what is logged.

    held_out: the validation part, or None for no validation. history: what its users have seen.
    """

    def __init__(
        self,
        seed: int = 42,
        *,
        history: Dataset | None = None,
        held_out: Dataset | None = None,
        epochs: int | None = None,
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(seed, epochs=epochs, threads=threads)
        self.history = history
        self.held_out = held_out
        self.verbose = verbose

    @property
    def validates(self) -> bool:
        return self.held_out is not None

    def log(self, step: int, **values: float) -> None:
        if self.verbose:
            print(step, " ".join(f"{name} {value:.4f}" for name, value in values.items()), flush=True)

    def validate(
        self, model: Recommender, held_out: Dataset | None = None, history: Dataset | None = None
    ) -> Validation | None:
        held_out = self.held_out if held_out is None else held_out
        history = self.history if history is None else history
        if held_out is None or history is None or not len(held_out):
            return None
        if model.spec.capabilities.predicts_ratings and history.feedback is Feedback.EXPLICIT:
            predictions = model.predict_pairs(
                Query.of_users(history, np.arange(history.n_users)), held_out.users, held_out.items
            )
            answered = ~np.isnan(predictions)
            if answered.any() or not model.spec.capabilities.ranks:
                assert held_out.ratings is not None
                figure = rmse(predictions[answered], held_out.ratings[answered])
                return Validation("rmse", figure, larger_is_better=False)
        ranked, _ = rank_test_users(model.score, history, held_out, 10)
        return Validation("ndcg@10", float(np.nanmean(RANKING_METRICS["ndcg"].compute(ranked))))

    def fit(self, algorithm: str, params: Mapping[str, Any], train: Dataset) -> Recommender:
        spec = installed_algorithms()[algorithm]
        return fit(spec, params, train, seed=self.seed, threads=self.threads, verbose=self.verbose)


def fit(
    spec: AlgorithmSpec,
    params: Mapping[str, Any],
    train: Dataset,
    *,
    seed: int = 42,
    threads: int | None = None,
    verbose: bool = False,
) -> Recommender:
    """Fit one algorithm on all of `train`.

    One that trains in epochs is first fitted without a tenth of each user's interactions (the latest, where it goes by
    their order), which tell the best number of epochs, and then on all of `train` for that many.
    """
    model = spec.load()(spec.params.parse(params))
    epochs = None
    if spec.capabilities.trains_in_epochs:
        kept, held_out = train.hold_out(0.1, np.random.default_rng(seed), latest=spec.capabilities.is_sequential)
        model.fit(kept, HeadlessRun(seed, history=kept, held_out=held_out, threads=threads, verbose=verbose))
        epochs = model.best_epoch_
    return model.fit(train, HeadlessRun(seed, epochs=epochs, threads=threads, verbose=verbose))
