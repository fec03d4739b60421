"""What the engine answers: one frozen dataclass a use case, in external ids, titles and plain figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.forecast import Forecast
from recsys_desktop.engine.plain import PlainData

if TYPE_CHECKING:
    from recsys_desktop.data import DatasetStatistics, FileInspection, ImportReport


@dataclass(frozen=True)
class Phrase(PlainData):
    """A sentence kept apart from its language: `key` names the wording, `values` fill it, `text` is the English."""

    key: str
    values: Mapping[str, Any]
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Sample(PlainData):
    """A data set that travels with the application."""

    id: str
    name: str
    description: str
    interactions: tuple[Path, ...]
    items: tuple[Path, ...] = ()
    users: tuple[Path, ...] = ()
    licence: str = ""


@dataclass(frozen=True)
class Inspection(PlainData):
    """What `inspect` found: each file as it would be read, and what importing all of them would give.

    files: `recsys_desktop.data.FileInspection` of each. report: the `ImportReport` that an import would write, with its
    check list. statistics: `DatasetStatistics` of the data as it would be. Both are None where the files do not make a
    data set; `problem` then says why. name: a name for the data, from the file names.
    """

    files: tuple[FileInspection, ...]
    report: ImportReport | None = None
    statistics: DatasetStatistics | None = None
    problem: str = ""
    name: str = ""


@dataclass(frozen=True)
class ForecastAnswer(PlainData):
    """What a fit will need beside what is free. advice: what to do, in words; empty where all is well."""

    algorithm: str
    forecast: Forecast
    free_bytes: int
    fits: bool
    advice: str = ""


@dataclass(frozen=True)
class InterruptedRun(PlainData):
    """A training that was killed with its process and has left a checkpoint.

    started: ISO 8601. data: the name of the data set, where it is still here. epoch: the last that was logged, in this
    phase ("fit", "refit", ... with the algorithm's id for a member of a hybrid); the checkpoint may be a little older.
    """

    run_id: str
    algorithm: str
    algorithm_name: str
    data: str
    dataset_fingerprint: str | None
    started: str
    epoch: int
    phase: str


@dataclass(frozen=True)
class Figure(PlainData):
    """A figure with its bootstrap interval (equal to the value where none was computed)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricColumn(PlainData):
    """One column of a comparison: how to name and read a metric."""

    id: str
    name: str
    formula: str
    larger_is_better: bool = True


@dataclass(frozen=True)
class ComparisonRow(PlainData):
    """One algorithm in a comparison.

    state: "done", "failed" or "not run"; reason says why not done. chosen: what was taken for parameters left open.
    figures: metric id -> Figure, a metric that does not concern the algorithm is absent. per_user: metric id -> float64
    (n_test_users,), NaN where undefined, rows in the order of `Comparison.users`. fit_seconds: the last fit;
    score_seconds: a person's list, median, one at a time. peak_memory_bytes: above the start of `fit`. size_bytes: of
    the fitted arrays. fallback_users: test users whose list is popularity's; fallback_predictions: test ratings that a
    mean predicted; tied_lists: lists in which item codes broke a tie. best: not distinguishable from the best by the
    first metric.
    """

    algorithm: str
    name: str
    family: str
    state: str
    reason: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    per_user: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict, repr=False)
    fit_seconds: float | None = None
    score_seconds: float | None = None
    peak_memory_bytes: int | None = None
    size_bytes: int | None = None
    epochs: int | None = None
    fallback_users: int = 0
    fallback_predictions: int = 0
    tied_lists: int = 0
    best: bool = False


@dataclass(frozen=True)
class Comparison(PlainData):
    """Algorithms on one split.

    metrics: the columns, most important first; the first decides `best`. settings: data, split, seed, k and counts.
    users: external ids of the test users, in the order of the per-user vectors. folder: where the files are.
    conclusion: which algorithms cannot be told from the best, in words.
    """

    rows: tuple[ComparisonRow, ...]
    metrics: tuple[MetricColumn, ...]
    settings: Mapping[str, Any]
    folder: Path | None
    users: tuple[str, ...] = field(default=(), repr=False)
    evaluation_id: str | None = None
    conclusion: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExplanationPart(PlainData):
    """One summand of a score.

    label: the title or name shown. value: in the score's unit. kind: "history", "feature", "neighbour", "factor",
    "model", "bias". item: external id where the part is an item of the history; rating: what the person gave it;
    shared: what that item has in common with the explained one, where the model says so.
    """

    label: str
    value: float
    kind: str
    item: str | None = None
    rating: float | None = None
    shared: str = ""


@dataclass(frozen=True)
class CounterfactualView(PlainData):
    """Without the removed history entries, the list would begin with another item.

    verified: re-scoring the whole list showed it.
    """

    removed: tuple[str, ...]
    removed_titles: tuple[str, ...]
    instead: str
    instead_title: str
    verified: bool
    sentence: Phrase


@dataclass(frozen=True)
class ExplanationView(PlainData):
    """Why one item got its score: base + parts + residual = score.

    exact: the parts add up by construction (`Capabilities.additive`); else they are effects measured by leaving entries
    out, and `residual` is what they do not account for. method: how the numbers came about.
    """

    item: str
    title: str
    score: float
    base: float
    parts: tuple[ExplanationPart, ...]
    residual: float
    exact: bool
    faithful_to_removal: bool
    method: str
    sentence: Phrase
    served_by: str
    counterfactual: CounterfactualView | None = None
    confidence: float | None = None
    confidence_interval: tuple[float, float] | None = None
    predicted_rating: float | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommendation(PlainData):
    """One item of a list.

    attributes: the item's columns that have a value. score: as the model gives it (no unit unless it predicts ratings).
    confidence: calibrated probability that the person would take this item up, or None (shown as "—").
    served_by: the model's label, or the fallback's name. fallback: why the model did not answer, or empty.
    chips: short reasons. explanation: where asked for.
    """

    rank: int
    item: str
    title: str
    attributes: Mapping[str, Any]
    score: float
    confidence: float | None
    confidence_interval: tuple[float, float] | None
    served_by: str
    fallback: str
    sentence: Phrase
    chips: tuple[str, ...]
    predicted_rating: float | None = None
    explanation: ExplanationView | None = None


@dataclass(frozen=True)
class Person(PlainData):
    """Whom a list is for. user: external id or None; known: the model met this user in training; n_history: entries."""

    user: str | None
    known: bool
    n_history: int


@dataclass(frozen=True)
class RecommendationList(PlainData):
    """A ranked list. notices: what the person should know (fallbacks, unknown items in a history, another version)."""

    items: tuple[Recommendation, ...]
    person: Person
    model: str
    algorithm: str
    notices: tuple[str, ...] = ()
    seconds: float = 0.0
    cached: bool = False


@dataclass(frozen=True)
class WrittenLists(PlainData):
    """A file of lists for everyone: rows are user,item,rank,score."""

    path: Path
    n_users: int
    n_rows: int
    fallback_users: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenPredictions(PlainData):
    """A file of predictions: rows are user,item,rating,prediction,source (rating where the input has it)."""

    path: Path
    n_rows: int
    fallback_rows: int
    rmse: float | None = None
    mae: float | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SimilarItem(PlainData):
    """An item like another one. method: how likeness was measured."""

    item: str
    title: str
    similarity: float
    method: str


@dataclass(frozen=True)
class FactorItem(PlainData):
    """An item that stands for a factor. weight: how much it has of it, positive."""

    item: str
    title: str
    weight: float


@dataclass(frozen=True)
class FactorView(PlainData):
    """What one dimension of a model stands for.

    name: suggested from what its items have in common. share: its part of what all factors add to the scores of
    training, 0 to 1. items: those that stand for it most, best first. categories: those that its items have more often
    than others do.
    """

    name: str
    share: float
    items: tuple[FactorItem, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ItemMatch(PlainData):
    """An item found by its id or title."""

    item: str
    title: str
    n_interactions: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class UserMatch(PlainData):
    """A user found by id, with the number of interactions and the user's attributes."""

    user: str
    n_interactions: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class HistoryItem(PlainData):
    """One entry of a user's history, for display."""

    item: str
    title: str
    rating: float | None
    timestamp: int | None


@dataclass(frozen=True)
class FilterColumn(PlainData):
    """An item column that a list can be filtered by.

    kind: "category", "tags" or "number"; choices: the values, most frequent first; low, high: of a number.
    """

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Check(PlainData):
    """One line of `doctor`. state: "ok", "warning" or "error"; advice: what to do, empty where ok."""

    name: str
    state: str
    detail: str
    advice: str = ""
