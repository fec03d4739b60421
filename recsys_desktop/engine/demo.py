"""Demo: the sample from file to explained recommendations, with one algorithm of every family."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import Dataset
from recsys_desktop.engine.errors import EngineError
from recsys_desktop.engine.evaluating import deciding_metric, evaluate
from recsys_desktop.engine.importing import import_sample
from recsys_desktop.engine.plain import PlainData
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.recommending import recommend
from recsys_desktop.engine.requests import EvaluateRequest, RecommendRequest, TrainRequest
from recsys_desktop.engine.results import Comparison, ComparisonRow, RecommendationList
from recsys_desktop.engine.runs import EngineRun
from recsys_desktop.engine.session import Session
from recsys_desktop.engine.training import train

SAMPLE = "movielens-small"
LENGTH = 10
MOST_EPOCHS = 8
LONGEST_SECONDS = 20.0
"""What takes longer than this to fit to the sample, by its own forecast, is no part of a demonstration."""


@dataclass(frozen=True)
class DemoRequest(PlainData):
    """algorithms: ids; one of every family where empty. user: for whom to recommend; a usual history where None."""

    algorithms: Sequence[str] = ()
    user: str | None = None
    seed: int = 42


@dataclass(frozen=True)
class DemoResult(PlainData):
    """What the demo did. chosen: why this model recommends. seconds: in all."""

    data: str
    comparison: Comparison
    model: str
    chosen: str
    recommendations: RecommendationList
    workspace: Path
    report: Path
    model_folder: Path
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)


def demo_algorithms(registry: Registry, dataset: Dataset) -> list[str]:
    """One algorithm of every family that ranks, can be fitted to the data, and is soon done with it."""
    return one_of_each_family(
        spec
        for spec in registry.algorithms.values()
        if spec.capabilities.ranks and _suits(spec, dataset) and _soon_done(registry, spec, dataset)
    )


def one_of_each_family(specs: Iterable[AlgorithmSpec]) -> list[str]:
    """The id of each family's first algorithm, in the order of families.

    Where a family has some that draw nothing at random, the first of those.
    """
    families: dict[str, list[AlgorithmSpec]] = {}
    for spec in specs:
        families.setdefault(spec.family, []).append(spec)
    return [min(specs, key=lambda spec: spec.capabilities.randomised).id for specs in families.values()]


def brief_params(registry: Registry, algorithms: Sequence[str]) -> dict[str, dict[str, int]]:
    """For each algorithm that trains in more epochs than a demonstration should last, fewer."""
    brief = {}
    for algorithm in algorithms:
        spec = registry.spec(algorithm)
        epochs = getattr(spec.params(), "epochs", None)
        if spec.capabilities.trains_in_epochs and isinstance(epochs, int) and epochs > MOST_EPOCHS:
            brief[algorithm] = {"epochs": MOST_EPOCHS}
    return brief


def _suits(spec: AlgorithmSpec, dataset: Dataset) -> bool:
    needs = spec.needs
    return (
        (not needs.ratings or dataset.ratings is not None)
        and (not needs.timestamps or dataset.timestamps is not None)
        and (not needs.item_content or bool(dataset.item_features.columns))
    )


def _soon_done(registry: Registry, spec: AlgorithmSpec, dataset: Dataset) -> bool:
    params = spec.params(**brief_params(registry, [spec.id]).get(spec.id, {}))
    return spec.load()(params).estimate(dataset.shape).seconds <= LONGEST_SECONDS


def run_demo(
    session: Session, request: DemoRequest, run: EngineRun, announce: Callable[[str, object], None]
) -> DemoResult:
    """Import the sample, compare, train the model of choice on everything, recommend to one person.

    announce: told of each stage as it ends: ("data", record), ("algorithms", ids), ("comparison", Comparison),
    ("model", record), ("recommendations", RecommendationList).
    """
    start = time.perf_counter()
    stages: dict[str, float] = {}

    def stage(name: str, value: object) -> None:
        stages[name] = time.perf_counter() - start
        run.flush()
        announce(name, value)

    data = import_sample(session, SAMPLE, run)
    stage("data", data)
    dataset = session.dataset(data.fingerprint)
    algorithms = list(request.algorithms) or demo_algorithms(session.registry, dataset)
    stage("algorithms", algorithms)
    params = brief_params(session.registry, algorithms)
    comparison = evaluate(session, EvaluateRequest(algorithms, data.fingerprint, params=params, seed=request.seed), run)
    stage("comparison", comparison)
    if comparison.folder is None:
        raise EngineError("the comparison was not saved")
    row, chosen = _choice(comparison)
    note = "made by the demo"
    model = train(session, TrainRequest(row.algorithm, data.fingerprint, row.params, request.seed, note=note), run)
    stage("model", model)
    user = request.user or _usual_user(dataset)
    answer = recommend(session, RecommendRequest(model.id, user, n=LENGTH), run)
    stage("recommendations", answer)
    return DemoResult(
        data.name,
        comparison,
        model.label,
        chosen,
        answer,
        session.workspace.path,
        comparison.folder,
        session.workspace.folder_of(model),
        time.perf_counter() - start,
        stages,
    )


def _choice(comparison: Comparison) -> tuple[ComparisonRow, str]:
    """The quickest to train among those that cannot be told from the best, and why."""
    column = deciding_metric(comparison.rows, comparison.metrics)
    best = [row for row in comparison.rows if row.best and row.fit_seconds is not None]
    if column is None or not best:
        reasons = "; ".join(f"{row.name}: {row.reason}" for row in comparison.rows if row.reason)
        raise EngineError(f"no algorithm could be judged ({reasons})")
    row = min(best, key=lambda row: row.fit_seconds or 0.0)
    if len(best) == 1:
        return row, f"{row.name} is the best by {column.name}"
    return row, f"{row.name} is the quickest to train of the {len(best)} that lead by {column.name}"


def _usual_user(dataset: Dataset) -> str:
    """The user whose number of interactions is the median, the first of them."""
    active = np.flatnonzero(dataset.user_counts)
    counts = dataset.user_counts[active]
    median = np.sort(counts)[(len(counts) - 1) // 2]
    return dataset.user_vocabulary[int(active[np.flatnonzero(counts == median)[0]])]
