"""The conformance kit itself: right algorithms pass, and each promise has a wrong one that is caught breaking it."""

from __future__ import annotations

import re

import pytest

from recsys_desktop.api import CannotServe, DataShape
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data, measure_fit
from tests.api import right_specifications as right
from tests.api.wrong_algorithms import WRONG, Wrong

SHAPES = (DataShape(4000, 800, 200_000, 4000), DataShape(8000, 1600, 400_000, 8000))


class TestNeighbours(AlgorithmConformance):
    spec = right.NEIGHBOURS


class TestPopular(AlgorithmConformance):
    spec = right.POPULAR
    forecast_shapes = SHAPES


class TestFactors(AlgorithmConformance):
    spec = right.FACTORS
    forecast_shapes = SHAPES
    forecast_params = {"epochs": 2}


class TestContent(AlgorithmConformance):
    spec = right.CONTENT
    forecast_shapes = SHAPES


class TestFold(AlgorithmConformance):
    spec = right.FOLD
    forecast_shapes = SHAPES


class TestBiases(AlgorithmConformance):
    spec = right.BIASES
    forecast_shapes = SHAPES
    personalised = False


class TestBlend(AlgorithmConformance):
    spec = right.BLEND
    forecast_shapes = SHAPES
    members = (right.NEIGHBOURS, right.FOLD)


def checks_of(test_class: type) -> set[str]:
    return {name for name in dir(test_class) if name.startswith("test_") and getattr(test_class, name) is not None}


def suspect(case: Wrong) -> AlgorithmConformance:
    settings = {"spec": case.algorithm.spec, **case.settings}
    return type(case.algorithm.__name__, (AlgorithmConformance,), settings)()


@pytest.mark.parametrize("case", WRONG, ids=[case.algorithm.__name__ for case in WRONG])
def test_a_wrong_algorithm_is_caught_by_the_check_of_its_promise(case: Wrong) -> None:
    check = getattr(suspect(case), case.check)
    assert check is not None, "the check does not concern this algorithm"
    with pytest.raises(AssertionError, match=re.escape(case.says)):
        check()


def test_there_is_a_wrong_algorithm_for_every_check() -> None:
    assert {case.check for case in WRONG} == checks_of(AlgorithmConformance)


def test_every_check_is_passed_by_a_right_algorithm() -> None:
    right_ones = (TestNeighbours, TestPopular, TestFactors, TestContent, TestFold, TestBiases, TestBlend)
    assert set().union(*map(checks_of, right_ones)) == checks_of(AlgorithmConformance)


def test_checks_that_do_not_concern_an_algorithm_are_not_collected() -> None:
    assert TestPopular.test_the_user_is_the_history is None
    assert TestNeighbours.test_everyone_gets_the_same is None
    assert TestNeighbours.test_explaining_is_refused is None
    assert TestPopular.test_explaining_is_refused is not None


def test_a_run_without_members_says_whom_it_knows() -> None:
    with pytest.raises(CannotServe, match=r"knows no algorithm 'blend'; name it in `members` \(known: neighbours\)"):
        KitRun(members=[right.NEIGHBOURS]).fit("blend", {}, made_data.checkerboard(rated=False))


def test_the_run_stops_after_so_many_checks_or_steps() -> None:
    run = KitRun(stop_after_checks=2)
    assert [run.should_stop for _ in range(4)] == [False, False, True, True]
    run = KitRun(stop_after_steps=2)
    run.log(1, loss=1.0)
    run.log(1, accuracy=0.5)
    assert not run.should_stop
    run.log(2, loss=0.5)
    assert run.should_stop
    assert run.steps == [1, 2]


def test_the_run_validates_only_what_it_was_given() -> None:
    parts = made_data.communities()
    model = right.POPULAR.load()().fit(parts.train)
    assert KitRun().validate(model) is None
    run = KitRun(history=parts.train, held_out=parts.test)
    own = run.validate(model)
    assert own is not None
    assert run.validations == [own]
    other = KitRun().validate(model, held_out=parts.test, history=parts.train)
    assert other == own


def test_a_process_that_fails_is_reported_with_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="parameter 'strength': unknown"):
        measure_fit(right.POPULAR, DataShape(10, 10, 20), {"strength": 1})


def test_measuring_has_a_time_limit() -> None:
    with pytest.raises(TimeoutError, match="more than 0 s"):
        measure_fit(right.POPULAR, DataShape(10, 10, 20), time_limit=0.01)


def test_sampling_from_outside_finds_the_peak_where_there_is_no_high_water_mark() -> None:
    shape = DataShape(2000, 2000, 100_000)
    sampled, exact = measure_fit(right.NEIGHBOURS, shape, sample=True), measure_fit(right.NEIGHBOURS, shape)
    assert exact.peak_bytes > 20 * 2**20
    assert sampled.peak_bytes == pytest.approx(exact.peak_bytes, rel=0.3)


def test_made_data_is_what_it_says() -> None:
    parts = made_data.communities()
    own = parts.train.users % 2 == parts.train.items % 2
    assert own.mean() > 0.75
    assert parts.train.ratings is not None
    assert parts.train.ratings[own].min() == 4
    assert parts.train.ratings[~own].max() == 3
    assert (parts.train.user_counts[-2:] == 0).all()
    assert (parts.train.item_counts[-2:] == 0).all()
    for rated in (False, True):
        board = made_data.checkerboard(rated)
        have = set(zip(board.users.tolist(), board.items.tolist(), strict=True))
        for user in range(board.n_users):
            missing = [item for item in range(board.n_items) if (user, item) not in have and (user + item) % 2 == 0]
            assert missing == [user]


def test_made_data_of_a_shape_has_that_shape() -> None:
    wanted = DataShape(3000, 900, 60_000, 4500, 0, 90_000)
    made = made_data.of_shape(wanted, features=True).shape
    assert (made.n_users, made.n_items) == (3000, 900)
    assert made.n_interactions == pytest.approx(60_000, rel=0.15)
    assert made.item_values == 4500
    assert made.text_characters == pytest.approx(90_000, rel=0.2)
