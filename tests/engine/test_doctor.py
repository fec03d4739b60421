"""Doctor: what does not work is found and named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from recsys_desktop.api import InvalidParameter
from recsys_desktop.engine import Engine, TrainRequest
from recsys_desktop.engine.results import Check
from tests.engine import toys


def of_models(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.name.startswith("Model ")]


def test_nothing_is_said_of_models_that_can_be_used(engine: Engine) -> None:
    engine.train(TrainRequest("toy-together", "toy", {"weight": 2}))
    checks = engine.doctor()
    assert of_models(checks) == []
    contents = next(check for check in checks if check.name == "Contents")
    assert contents.detail.startswith("1 data set, 1 model, 0 comparisons, ")


def test_a_model_whose_parameters_are_not_valid_any_more_is_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.train(TrainRequest("toy-together", "toy", {"weight": 2}))

    def refuse(values):
        raise InvalidParameter("weight", "unknown; the parameters are: heaviness")

    monkeypatch.setattr(toys.TogetherParams, "parse", refuse)
    (check,) = of_models(engine.doctor())
    assert (check.name, check.state) == ("Model toy-together@1", "error")
    assert "not valid for 'toy-together' any more" in check.detail and "weight" in check.detail and check.advice


def test_a_model_whose_algorithm_is_gone_is_named(engine: Engine) -> None:
    engine.train(TrainRequest("toy-popular", "toy"))
    path = engine.workspace.path
    engine.close()
    with Engine.open(path, plugins={}) as opened:
        (check,) = of_models(opened.doctor())
    assert (check.name, check.state) == ("Model toy-popular@1", "error")
    assert "there is no algorithm 'toy-popular'" in check.detail
