"""Confidence is a probability: on data whose truth is known it is right, and its stated error is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import DataShape, RunContext
from recsys_desktop.api.testing import made_data
from recsys_desktop.engine.calibration import Calibration, calibrate, from_candidates, wilson_interval
from recsys_desktop.engine.errors import Cancelled
from tests.engine.toys import POPULAR


def synthetic(n: int = 60_000, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores whose true hit rate is known: 0.4 · score² for scores in 0..1."""
    generator = np.random.default_rng(seed)
    scores = generator.random(n).astype(np.float32)
    truth = 0.4 * scores.astype(np.float64) ** 2
    return scores, generator.random(n) < truth, np.arange(n) // 50, truth


def test_the_confidence_of_a_known_truth_is_right() -> None:
    scores, hits, people, _ = synthetic()
    calibration, reason = from_candidates(scores, hits, people, RunContext(3))
    assert calibration is not None and reason == ""
    for score in (0.2, 0.5, 0.8, 0.95):
        confidence = calibration.confidence(score)
        assert confidence is not None
        assert confidence.value == pytest.approx(0.4 * score**2, abs=0.03)
        assert confidence.low <= confidence.value <= confidence.high
    assert calibration.error < 0.01


def test_a_run_that_is_cancelled_does_not_wait_for_everybodys_lists() -> None:
    kept, held_out = made_data.of_shape(DataShape(600, 9000, 8000), False).hold_out(0.2, np.random.default_rng(0))
    model = POPULAR.load()(POPULAR.params()).fit(kept)
    blocks = []

    def check() -> None:
        blocks.append(len(blocks))
        if len(blocks) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        calibrate(model, kept, held_out, RunContext(), check)
    calibrate(model, kept, held_out, RunContext(), lambda: blocks.append(0))
    assert len(blocks) > 2 + 2


def test_a_calibration_says_how_far_it_is_after_a_few_people() -> None:
    class Heard(RunContext):
        said: list[float]

        def progress(self, fraction: float, text: str = "") -> None:
            self.said.append(fraction)

    kept, held_out = made_data.of_shape(DataShape(300, 500, 4000), False).hold_out(0.2, np.random.default_rng(0))
    model = POPULAR.load()(POPULAR.params()).fit(kept)
    run = Heard()
    run.said = []
    calibrate(model, kept, held_out, run)
    assert run.said == sorted(run.said) and run.said[-1] == 1
    people = int((held_out.user_counts > 0).sum())
    assert len(run.said) >= people / 40


def test_intervals_contain_the_truth_about_as_often_as_they_say() -> None:
    contained = []
    for seed in range(10):
        scores, hits, people, _ = synthetic(20_000, seed)
        calibration, _ = from_candidates(scores, hits, people, RunContext(seed))
        assert calibration is not None
        truth = 0.4 * calibration.scores**2
        inside = (calibration.low <= truth) & (truth <= calibration.high)
        contained.append(inside.mean())
    assert np.mean(contained) > 0.8


def test_scores_that_mean_nothing_give_everybody_the_same_confidence() -> None:
    scores, hits, people, _ = synthetic()
    calibration, _ = from_candidates(scores, hits, people, RunContext(0))
    generator = np.random.default_rng(0)
    shuffled_hits = generator.permutation(hits)
    useless, _ = from_candidates(scores, shuffled_hits, people, RunContext(0))
    assert calibration is not None and useless is not None
    spread = useless.probabilities.max() - useless.probabilities.min()
    assert spread < 0.1 < calibration.probabilities.max() - calibration.probabilities.min()


@given(st.integers(0, 2**32 - 1))
def test_confidence_rises_with_the_score(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=3000).astype(np.float32).round(1)
    hits = generator.random(3000) < 0.3
    calibration, _ = from_candidates(scores, hits, np.arange(3000) // 30, RunContext(1))
    assert calibration is not None
    assert (np.diff(calibration.scores) > 0).all()
    assert (np.diff(calibration.probabilities) >= 0).all()
    assert (calibration.low <= calibration.probabilities).all() and (
        calibration.probabilities <= calibration.high
    ).all()
    assert calibration.low.min() >= 0 and calibration.high.max() <= 1


def test_too_few_hits_give_no_confidence_and_a_reason() -> None:
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    hits = np.zeros(1000, dtype=np.bool_)
    hits[:5] = True
    calibration, reason = from_candidates(scores, hits, np.arange(1000) // 10, RunContext(1))
    assert calibration is None and "only 5 held-out items" in reason


def test_a_score_that_is_not_there_has_no_confidence() -> None:
    scores, hits, people, _ = synthetic(5000)
    calibration, _ = from_candidates(scores, hits, people, RunContext(1))
    assert calibration is not None
    assert calibration.confidence(float("nan")) is None


def test_a_calibration_survives_json() -> None:
    import json

    scores, hits, people, _ = synthetic(5000)
    calibration, _ = from_candidates(scores, hits, people, RunContext(1))
    assert calibration is not None
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again.confidence(0.7) == calibration.confidence(0.7)
    with pytest.raises((ValueError, KeyError)):
        Calibration.from_dict({"scores": []})


def test_the_wilson_interval_of_a_textbook_case() -> None:
    low, high = wilson_interval(np.array([0.1]), np.array([10.0]))
    assert low[0] == pytest.approx(0.0179, abs=1e-3) and high[0] == pytest.approx(0.4042, abs=1e-3)
