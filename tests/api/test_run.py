"""RunContext: seeds, validation figures, and what the silent base answers."""

import math

import pytest

from recsys_desktop.api import CannotServe, RunContext, Validation
from recsys_desktop.api.testing import made_data


def test_generators_depend_on_the_seed_and_the_name_alone():
    first = RunContext(1).generator("negatives").random(4).tolist()
    assert RunContext(1, threads=8).generator("negatives").random(4).tolist() == first
    assert RunContext(1).generator("start").random(4).tolist() != first
    assert RunContext(2).generator("negatives").random(4).tolist() != first


def test_a_figure_is_better_in_its_own_direction():
    assert Validation("ndcg@10", 0.3).better_than(Validation("ndcg@10", 0.2))
    assert not Validation("ndcg@10", 0.2).better_than(Validation("ndcg@10", 0.2))
    assert Validation("rmse", 0.8, larger_is_better=False).better_than(Validation("rmse", 0.9, larger_is_better=False))
    assert Validation("ndcg@10", 0.0).better_than(None)
    assert not Validation("ndcg@10", math.nan).better_than(None)
    assert not Validation("ndcg@10", math.nan).better_than(Validation("ndcg@10", 0.1))


def test_the_base_is_silent():
    run = RunContext()
    run.progress(0.5, "half")
    run.log(1, loss=0.5)
    assert not run.should_stop
    assert not run.validates
    assert run.threads >= 1
    with pytest.raises(CannotServe, match="cannot fit 'ease'"):
        run.fit("ease", {}, made_data.checkerboard(rated=False))
