"""AlgorithmSpec: what is known of an algorithm without importing it."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from recsys_desktop.api.params import Params

if TYPE_CHECKING:
    from recsys_desktop.api.recommender import Recommender


class Family(StrEnum):
    """The families by which algorithms are listed, in the order of listing."""

    BASELINE = "Baselines"
    NEIGHBOURS = "Neighbours"
    LINEAR = "Linear"
    FACTORISATION = "Factorisation"
    CONTENT = "Content"
    NEURAL = "Neural"
    SEQUENCE = "Sequence"
    HYBRID = "Hybrid"


class Serves(StrEnum):
    """Whom a fitted model can score.

    EVERYONE: the same scores for all. HISTORY: the user *is* the history, so a stranger with the same history gets the
    same scores within 1e-4. FOLD_IN: a stranger's history is folded in approximately. KNOWN_USERS: only users met in
    fit.
    """

    EVERYONE = "everyone"
    HISTORY = "history"
    FOLD_IN = "fold-in"
    KNOWN_USERS = "known-users"


@dataclass(frozen=True)
class Capabilities:
    """What a model promises; read by the engine and the window, checked by the conformance kit.

    serves: whom it can score. ranks: its scores order items for a list. predicts_ratings: `predict` answers in rating
    units. uses_ratings: the value of a rating matters (otherwise every interaction counts alike). uses_text,
    uses_features, uses_timestamps: which parts of the data it reads. trains_in_epochs: it validates, may stop early,
    and honours `run.epochs`. scores_new_items: items without interactions get scores from their features. explains:
    it has its own `explain` (otherwise the engine explains by occlusion). additive: base + contributions + residual
    = score with a residual of 0. faithful_to_removal: taking a history entry away changes the score by its
    contribution.
    updates_live: `updated` takes in new interactions. similar_items, item_embeddings, user_embeddings: the methods of
    that name answer. randomised: another seed gives another model.
    """

    serves: Serves
    ranks: bool = True
    predicts_ratings: bool = False
    uses_ratings: bool = False
    uses_text: bool = False
    uses_features: bool = False
    uses_timestamps: bool = False
    trains_in_epochs: bool = False
    scores_new_items: bool = False
    explains: bool = False
    additive: bool = False
    faithful_to_removal: bool = False
    updates_live: bool = False
    similar_items: bool = False
    item_embeddings: bool = False
    user_embeddings: bool = False
    randomised: bool = False

    @property
    def is_sequential(self) -> bool:
        """Whether it goes by the order of a history: the user is the history, and when things happened matters.

        What such a model is for is what comes next, so that the latest interactions validate it, not random ones. One
        that predicts ratings is not for that, however it uses time: it is judged by the interactions that judge every
        other rating model.
        """
        return self.serves is Serves.HISTORY and self.uses_timestamps and not self.predicts_ratings


@dataclass(frozen=True)
class Needs:
    """What the data must have for `fit` to be defined; told to the person before they press Train.

    ratings, timestamps: the columns must be there. item_content: item titles, text, categories or tags must be there.
    interactions: false for a model that works from an item catalogue alone. users, items: the fewest active ones.
    """

    ratings: bool = False
    timestamps: bool = False
    item_content: bool = False
    interactions: bool = True
    users: int = 2
    items: int = 2


@dataclass(frozen=True)
class AlgorithmSpec:
    """One algorithm as it is listed. It lives in a light module: listing algorithms imports neither torch nor a model.

    id: `[a-z0-9-]+`, stable, the same in flags, files and manifests. summary: one line on what it is good for.
    paper: the reference. implementation: `"module:Class"` of the Recommender. params: its Params class.

    Raises
    ------
    ValueError: the id or the implementation is malformed.
    """

    id: str
    name: str
    family: Family
    summary: str
    implementation: str
    params: type[Params]
    capabilities: Capabilities
    needs: Needs = field(default_factory=Needs)
    paper: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+", self.id):
            raise ValueError(f"algorithm id {self.id!r} has characters other than a-z, 0-9 and '-'")
        if not re.fullmatch(r"[\w.]+:\w+", self.implementation):
            raise ValueError(f"algorithm '{self.id}': implementation {self.implementation!r} is not 'module:Class'")

    def load(self) -> type[Recommender]:
        """Import the implementation.

        Raises
        ------
        TypeError: the class is no Recommender or belongs to another algorithm. ImportError, AttributeError: it is
        missing.
        """
        from recsys_desktop.api.recommender import Recommender

        module, _, name = self.implementation.partition(":")
        cls = getattr(importlib.import_module(module), name)
        if not (isinstance(cls, type) and issubclass(cls, Recommender)):
            raise TypeError(f"algorithm '{self.id}': {self.implementation} is not a Recommender")
        if cls.spec.id != self.id:
            raise TypeError(f"algorithm '{self.id}': {self.implementation} declares itself '{cls.spec.id}'")
        return cls
