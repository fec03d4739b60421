"""AlgorithmConformance: every promise of the contract as one test class to subclass."""

from __future__ import annotations

from recsys_desktop.api.testing.explanation_checks import ExplanationChecks
from recsys_desktop.api.testing.fit_checks import FitChecks
from recsys_desktop.api.testing.learning_checks import LearningChecks
from recsys_desktop.api.testing.parameter_checks import ParameterChecks
from recsys_desktop.api.testing.persistence_checks import PersistenceChecks
from recsys_desktop.api.testing.resource_checks import ResourceChecks
from recsys_desktop.api.testing.score_checks import ScoreChecks
from recsys_desktop.api.testing.serving_checks import ServingChecks


class AlgorithmConformance(
    ParameterChecks,
    FitChecks,
    ScoreChecks,
    ServingChecks,
    PersistenceChecks,
    ExplanationChecks,
    LearningChecks,
    ResourceChecks,
):
    """What every algorithm must hold. Subclass it in a test module::

        from recsys_desktop.api.testing import AlgorithmConformance
        from my_plugin.specs import MY_ALGORITHM

        class TestMyAlgorithm(AlgorithmConformance):
            spec = MY_ALGORITHM

    pytest then runs every check that concerns what the spec declares; one that does not concern it is not collected.
    Settings that a subclass may give are described in `Workbench`.
    """
