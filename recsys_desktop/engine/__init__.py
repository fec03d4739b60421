"""The use cases, and the documented Python API: open an `Engine`, ask it, show the answer.

    from recsys_desktop.engine import Engine, RecommendRequest, TrainRequest

    with Engine.open() as engine:
        data = engine.import_sample("movielens-small")
        model = engine.train(TrainRequest("ease", data.name))
        answer = engine.recommend(RecommendRequest(model.label, user="1"))

Importing this package is light; the scientific libraries come with the first use case that needs them.
"""

import os as _os

# Libraries that would look for updates or models on a network are told not to, before any of them is imported.
_os.environ["HF_HUB_OFFLINE"] = "1"
_os.environ["TRANSFORMERS_OFFLINE"] = "1"

from recsys_desktop.engine.demo import DemoRequest, DemoResult, one_of_each_family
from recsys_desktop.engine.doctor import examine
from recsys_desktop.engine.errors import (
    Cancelled,
    DoesNotFit,
    EngineError,
    Misuse,
    NothingToKeep,
    ServingFailed,
    TrainingFailed,
    UnknownName,
)
from recsys_desktop.engine.facade import Engine
from recsys_desktop.engine.importing import inspect as inspect_files
from recsys_desktop.engine.importing import samples
from recsys_desktop.engine.memory import readable_bytes
from recsys_desktop.engine.plain import plain
from recsys_desktop.engine.plugins import PluginInfo, Registry
from recsys_desktop.engine.requests import (
    EvaluateRequest,
    ExplainRequest,
    HistoryEntry,
    ImportRequest,
    InspectRequest,
    RecommendRequest,
    TrainRequest,
)
from recsys_desktop.engine.results import (
    Check,
    Comparison,
    ComparisonRow,
    CounterfactualView,
    ExplanationPart,
    ExplanationView,
    FactorItem,
    FactorView,
    Figure,
    FilterColumn,
    ForecastAnswer,
    HistoryItem,
    Inspection,
    InterruptedRun,
    ItemMatch,
    MetricColumn,
    Person,
    Phrase,
    Recommendation,
    RecommendationList,
    Sample,
    SimilarItem,
    UserMatch,
    WrittenLists,
    WrittenPredictions,
)
from recsys_desktop.engine.runs import EngineRun, LogEntry
from recsys_desktop.engine.sentences import without_share
from recsys_desktop.engine.session import plugins_of
from recsys_desktop.engine.tables import read_history, read_pairs

__all__ = [
    "Cancelled",
    "Check",
    "Comparison",
    "ComparisonRow",
    "CounterfactualView",
    "DemoRequest",
    "DemoResult",
    "DoesNotFit",
    "Engine",
    "EngineError",
    "EngineRun",
    "EvaluateRequest",
    "ExplainRequest",
    "ExplanationPart",
    "ExplanationView",
    "FactorItem",
    "FactorView",
    "Figure",
    "FilterColumn",
    "ForecastAnswer",
    "HistoryEntry",
    "HistoryItem",
    "ImportRequest",
    "InspectRequest",
    "Inspection",
    "InterruptedRun",
    "ItemMatch",
    "LogEntry",
    "MetricColumn",
    "Misuse",
    "NothingToKeep",
    "Person",
    "Phrase",
    "PluginInfo",
    "RecommendRequest",
    "Recommendation",
    "RecommendationList",
    "Registry",
    "Sample",
    "ServingFailed",
    "SimilarItem",
    "TrainRequest",
    "TrainingFailed",
    "UnknownName",
    "UserMatch",
    "WrittenLists",
    "WrittenPredictions",
    "examine",
    "inspect_files",
    "one_of_each_family",
    "plain",
    "plugins_of",
    "read_history",
    "read_pairs",
    "readable_bytes",
    "samples",
    "without_share",
]
