"""From what a run logged to the lines of its plots."""

from __future__ import annotations

from recsys_desktop.gui.mailbox import LoggedStep
from recsys_desktop.gui.pages.train import stored_step
from recsys_desktop.gui.pages.training_curves import curves, losses, readable, validations
from recsys_desktop.workspace import RunValue


def test_the_refit_is_not_drawn_over_the_fit() -> None:
    entries = [LoggedStep(step, {"loss": 1.0 / step, "ndcg@10": 0.1 * step}, "fit") for step in (1, 2, 3)]
    entries += [LoggedStep(step, {"loss": 9.0}, "refit") for step in (1, 2)]
    found = curves(entries)
    assert [curve.name for curve in losses(found)] == ["loss"]
    assert losses(found)[0].values.tolist() == [1.0, 0.5, 1.0 / 3]
    assert [curve.name for curve in validations(found)] == ["ndcg@10"]


def test_the_best_is_the_largest_or_the_smallest_as_the_figure_says() -> None:
    found = {
        curve.name: curve
        for curve in curves(
            [
                LoggedStep(0, {"rmse": 0.9, "ndcg@10": 0.1}),
                LoggedStep(1, {"rmse": 0.8, "ndcg@10": 0.3}),
                LoggedStep(2, {"rmse": float("nan"), "ndcg@10": 0.2}),
            ]
        )
    }
    assert found["rmse"].best == 1
    assert found["ndcg@10"].best == 1
    assert readable("ndcg@10") == "NDCG@10"
    assert readable("training_loss") == "training loss"


def test_the_curve_of_an_earlier_version_has_the_names_of_a_run_that_is_watched() -> None:
    stored = [RunValue(1, "fit/ndcg@10", 0.1, 0.0), RunValue(2, "fit/ndcg@10", 0.2, 0.0), RunValue(1, "loss", 2.0, 0.0)]
    found = {curve.name: curve.values.tolist() for curve in curves(map(stored_step, stored))}
    assert found == {"ndcg@10": [0.1, 0.2], "loss": [2.0]}
