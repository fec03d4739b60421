"""What the workspace records, as frozen dataclasses: one row, one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

RunState = Literal["running", "done", "failed", "cancelled", "died"]
ENDED_STATES: tuple[RunState, ...] = ("done", "failed", "cancelled", "died")

InteractionKind = Literal["open", "rate", "like", "dismiss", "dwell"]
INTERACTION_KINDS: tuple[InteractionKind, ...] = ("open", "rate", "like", "dismiss", "dwell")


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A data set in ``datasets/<fingerprint>/``. ``source`` says where it came from; ``extra`` is the engine's own."""

    fingerprint: str
    name: str
    n_users: int
    n_items: int
    n_interactions: int
    source: str
    extra: Mapping[str, Any]
    size_bytes: int
    created: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One use of a use case: import, train, evaluate, tune, ...

    ``request`` is what was asked, enough to repeat it; ``result`` what came of it (such as a model's id). A run whose
    process stopped before the run ended is ``died`` and has no ``finished``.
    """

    id: str
    kind: str
    state: RunState
    request: Mapping[str, Any]
    result: Mapping[str, Any]
    started: datetime
    finished: datetime | None
    error: str | None
    dataset_fingerprint: str | None


@dataclass(frozen=True, slots=True)
class RunValue:
    """One logged figure of a run, such as the loss of an epoch. ``time`` is wall-clock Unix seconds."""

    step: int
    name: str
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A saved version of a model in ``models/<id>/``.

    Versions count 1, 2, ... per name and are never given twice; exactly one version of a name is active.
    ``fit_seconds`` and ``peak_memory_bytes`` are None where they were not measured; ``size_bytes`` is on disk.
    """

    id: str
    name: str
    version: int
    algorithm: str
    params: Mapping[str, Any]
    seed: int | None
    dataset_fingerprint: str | None
    run_id: str | None
    metrics: Mapping[str, Any]
    fit_seconds: float | None
    peak_memory_bytes: int | None
    size_bytes: int
    note: str
    active: bool
    created: datetime

    @property
    def label(self) -> str:
        """Name and version, in the form that ``resolve_model`` understands: ``ease@3``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """A comparison of algorithms in ``reports/<id>/``; its figures are ``MetricRecord``s, ``payload`` is the rest."""

    id: str
    run_id: str | None
    dataset_fingerprint: str | None
    split: Mapping[str, Any]
    seed: int | None
    k: int | None
    payload: Mapping[str, Any]
    size_bytes: int
    created: datetime


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """One figure of an evaluation; ``low`` and ``high`` bound its interval. ``k`` is None for rating metrics.

    ``evaluation_id`` is filled in when the evaluation is published.
    """

    algorithm: str
    metric: str
    value: float
    k: int | None = None
    low: float | None = None
    high: float | None = None
    model_id: str | None = None
    evaluation_id: str = ""


@dataclass(frozen=True, slots=True)
class InteractionRecord:
    """What a person did with an item. Ids are external text; ``time`` is Unix seconds.

    ``value`` is the rating of a "rate" and the seconds of a "dwell", else None. ``dataset_fingerprint`` says which
    data set the ids belong to.
    """

    person: str
    item: str
    kind: InteractionKind
    value: float | None
    time: float
    dataset_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening for writing found and did about an earlier process that did not end well.

    ``died_runs`` were running and are now marked; ``swept`` are half-written or half-deleted folders that were
    removed; ``missing`` are records whose folder is gone (no longer listed); ``unlisted`` are folders that no record
    knows (left where they are).
    """

    died_runs: tuple[RunRecord, ...] = ()
    swept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkspaceHealth:
    """The state of a workspace, for diagnosis; every problem is a sentence that names the file."""

    path: str
    schema_version: int
    size_bytes: int
    free_bytes: int
    n_datasets: int
    n_models: int
    n_evaluations: int
    problems: tuple[str, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
