"""The contract a plugin is written to: small, typed, documented, versioned, free of Qt."""

from recsys_desktop.api.algorithm import AlgorithmSpec, Capabilities, Family, Needs, Serves
from recsys_desktop.api.alignment import AlignedModel
from recsys_desktop.api.dataset import Dataset, DataShape, Histories, RatingScale
from recsys_desktop.api.errors import (
    CannotFit,
    CannotServe,
    InvalidData,
    InvalidParameter,
    NotFitted,
    RecSysError,
    StateError,
)
from recsys_desktop.api.explanation import Contribution, Counterfactual, Explanation, Source
from recsys_desktop.api.extensions import (
    MetricSpec,
    PanelSpec,
    RankedLists,
    ReaderSpec,
    RunObserver,
    Split,
    SplitterSpec,
)
from recsys_desktop.api.factor import Factor
from recsys_desktop.api.features import (
    CategoryColumn,
    Column,
    FeatureTable,
    NumericColumn,
    TagsColumn,
    TextColumn,
)
from recsys_desktop.api.forecast import Forecast
from recsys_desktop.api.hooks import hookimpl
from recsys_desktop.api.params import InteractionParams, ParamField, Params, TuningRange, param
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.roles import Feedback, Role
from recsys_desktop.api.run import RunContext, Validation
from recsys_desktop.api.version import API_VERSION
from recsys_desktop.api.vocabulary import Vocabulary

__all__ = [
    "API_VERSION",
    "AlgorithmSpec",
    "AlignedModel",
    "CannotFit",
    "CannotServe",
    "Capabilities",
    "CategoryColumn",
    "Column",
    "Contribution",
    "Counterfactual",
    "DataShape",
    "Dataset",
    "Explanation",
    "Factor",
    "Family",
    "FeatureTable",
    "Feedback",
    "Forecast",
    "Histories",
    "InteractionParams",
    "InvalidData",
    "InvalidParameter",
    "MetricSpec",
    "Needs",
    "NotFitted",
    "NumericColumn",
    "PanelSpec",
    "ParamField",
    "Params",
    "Query",
    "RankedLists",
    "RatingScale",
    "ReaderSpec",
    "RecSysError",
    "Recommender",
    "Role",
    "RunContext",
    "RunObserver",
    "Serves",
    "Source",
    "Split",
    "SplitterSpec",
    "StateError",
    "TagsColumn",
    "TextColumn",
    "TuningRange",
    "Validation",
    "Vocabulary",
    "hookimpl",
    "param",
]
