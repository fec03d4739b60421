"""Training: what is saved, what is refused and why, and how a run is stopped."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from recsys_desktop.api import InvalidParameter
from recsys_desktop.engine import (
    Cancelled,
    DoesNotFit,
    Engine,
    EngineRun,
    TrainingFailed,
    TrainRequest,
    UnknownName,
    training,
    warming,
)
from recsys_desktop.workspace import InvalidName, NotWritable, RecordNotFound
from tests.engine import toys


def test_a_model_is_saved_as_the_next_version_with_what_was_asked_and_measured(engine: Engine) -> None:
    first = engine.train(TrainRequest("toy-together", "toy", {"weight": "2"}, seed=5, note="a remark"))
    second = engine.train(TrainRequest("toy-together", "toy"))
    assert (first.label, second.label) == ("toy-together@1", "toy-together@2")
    assert dict(first.params) == {"weight": 2.0, "memory": 0.0} and first.seed == 5 and first.note == "a remark"
    assert first.fit_seconds is not None and first.peak_memory_bytes is not None
    assert first.dataset_fingerprint == engine.dataset_record("toy").fingerprint
    assert engine.model_record("toy-together").id == second.id
    run = engine.workspace.run(second.run_id)
    assert run.state == "done" and run.kind == "train" and run.result["model"] == second.id
    assert run.request["params"] == {"weight": 1.0, "memory": 0.0}


def test_an_earlier_version_can_be_made_the_active_one(engine: Engine) -> None:
    first = engine.train(TrainRequest("toy-popular", "toy"))
    engine.train(TrainRequest("toy-popular", "toy"))
    engine.activate("toy-popular@1")
    assert engine.model_record("toy-popular").id == first.id
    engine.delete("toy-popular@2")
    assert [record.label for record in engine.models("toy-popular")] == ["toy-popular@1"]


def test_what_is_wrong_with_a_request_is_said_before_anything_runs(engine: Engine) -> None:
    runs = len(engine.runs())
    with pytest.raises(UnknownName, match="toy-popular"):
        engine.train(TrainRequest("toy-populer", "toy"))
    with pytest.raises(InvalidParameter, match="weight"):
        engine.train(TrainRequest("toy-together", "toy", {"weight": "heavy"}))
    with pytest.raises(InvalidParameter, match="at most 10"):
        engine.train(TrainRequest("toy-together", "toy", {"weight": 11}))
    with pytest.raises(InvalidParameter, match="unknown"):
        engine.train(TrainRequest("toy-together", "toy", {"wieght": 1}))
    with pytest.raises(RecordNotFound, match="toy"):
        engine.train(TrainRequest("toy-together", "nothing"))
    with pytest.raises(InvalidName):
        engine.train(TrainRequest("toy-together", "toy", name="a@3"))
    assert len(engine.runs()) == runs


def test_the_forecast_refuses_what_does_not_fit_and_names_a_cheaper_algorithm(engine: Engine) -> None:
    request = TrainRequest("toy-together", "toy", {"memory": 1e16})
    with pytest.raises(DoesNotFit, match=r"needs about 10000 TB .* use 'toy-popular'"):
        engine.train(request)
    assert engine.models() == []
    answer = engine.forecast("toy-together", {"memory": 1e16}, "toy")
    assert not answer.fits and answer.forecast.memory_bytes == int(1e16) and "toy-popular" in answer.advice
    assert engine.forecast("toy-together", {}, "toy").fits
    from dataclasses import replace

    assert engine.train(replace(request, force=True)).version == 1


def test_an_algorithm_that_fails_is_recorded_with_its_reason(engine: Engine) -> None:
    with pytest.raises(TrainingFailed, match="'toy-raises' failed: ZeroDivisionError: toys break"):
        engine.train(TrainRequest("toy-raises", "toy"))
    run = engine.runs()[0]
    assert run.state == "failed" and "toys break" in (run.error or "")
    assert engine.models() == []


def test_an_algorithm_that_answers_in_the_wrong_shape_is_never_saved(engine: Engine) -> None:
    with pytest.raises(TrainingFailed, match="shape"):
        engine.train(TrainRequest("toy-shape", "toy"))
    assert engine.models() == []


def test_an_algorithm_in_epochs_is_stopped_early_and_refitted_for_the_best_number(engine: Engine) -> None:
    entries = []
    record = engine.train(TrainRequest("toy-epochs", "toy", {"epochs": 6, "best": 3}), EngineRun(on_log=entries.extend))
    model = engine.model("toy-epochs").model
    assert record.metrics["epochs"] == 3
    assert model.epochs_trained_ == 3  # type: ignore[attr-defined]
    assert np.array_equal(model.scores_, engine.dataset("toy").item_counts)  # type: ignore[attr-defined]
    assert {entry.phase for entry in entries} == {"fit", "refit"}
    assert [entry.step for entry in entries if entry.phase == "fit" and "loss" in entry.values] == [1, 2, 3, 4, 5, 6]
    stored = engine.run_values(record.run_id)
    assert len(stored) == sum(len(entry.values) for entry in entries)
    assert {value.name for value in stored} == {"fit/loss", "fit/ndcg@10", "refit/loss"}


def test_the_same_seed_gives_the_same_model(engine: Engine) -> None:
    scores = []
    for seed in (1, 1, 2):
        record = engine.train(TrainRequest("toy-epochs", "toy", {"best": 40, "epochs": 2}, seed=seed))
        scores.append(engine.model(record.id).model.scores_)  # type: ignore[attr-defined]
    assert np.array_equal(scores[0], scores[1]) and not np.array_equal(scores[0], scores[2])


def stopped(engine: Engine, mode: str) -> EngineRun:
    """Ask the run to stop as soon as its second epoch is logged."""
    run: EngineRun

    def stop(entries: list) -> None:
        if any(entry.step >= 2 for entry in entries):
            threading.Thread(target=run.stop, args=(mode,)).start()

    run = EngineRun(on_log=stop)
    return run


def test_stop_and_keep_saves_the_best_model_so_far(engine: Engine) -> None:
    start = time.monotonic()
    request = TrainRequest("toy-epochs", "toy", {"epochs": 500, "pause": 0.06, "best": 400})
    record = engine.train(request, stopped(engine, "keep"))
    assert time.monotonic() - start < 10
    assert record.metrics["stopped_early"] is True
    assert engine.workspace.run(record.run_id).state == "done"
    assert engine.model(record.id).model.best_epoch_ is not None


def test_stop_and_keep_during_a_refit_that_leaves_no_model_saves_that_of_the_trial(engine: Engine) -> None:
    run: EngineRun

    def stop(entries: list) -> None:
        if any(entry.phase == "refit" for entry in entries):
            threading.Thread(target=run.stop, args=("keep",)).start()

    run = EngineRun(on_log=stop)
    params = {"epochs": 40, "best": 40, "pause": 0.05, "whole_refit": True}
    record = engine.train(TrainRequest("toy-epochs", "toy", params), run)
    assert record.metrics["stopped_early"] is True
    model = engine.model(record.id).model
    assert model.scores_.sum() < len(engine.dataset("toy"))  # type: ignore[attr-defined]


def test_what_fit_chose_for_a_parameter_that_was_left_open_is_recorded(engine: Engine) -> None:
    open_, given = (engine.train(TrainRequest("toy-epochs", "toy", params)) for params in ({}, {"noise": "7"}))
    assert open_.params["noise"] is None
    noise = open_.metrics["chosen"]["noise"]
    assert engine.model(open_.id).model.setting("noise") == noise
    # The trial chose it, by less than all of the data; what its figure is worth holds for the model that is saved.
    assert 40 < noise < 40 + len(engine.dataset("toy")) / 1e6
    assert "chosen" not in given.metrics
    assert engine.model(given.id).model.setting("noise") == 7.0


def test_cancel_saves_nothing_and_the_run_says_so(engine: Engine) -> None:
    request = TrainRequest("toy-epochs", "toy", {"epochs": 500, "pause": 0.06})
    with pytest.raises(Cancelled):
        engine.train(request, stopped(engine, "discard"))
    assert engine.runs()[0].state == "cancelled"
    assert engine.models() == []
    assert list((engine.workspace.path / "models").iterdir()) == []


@pytest.mark.parametrize(("mode", "reason"), [("keep", "before there was a model to keep"), ("discard", "cancelled")])
def test_stopping_before_there_is_a_model_is_no_failure(engine: Engine, mode: str, reason: str) -> None:
    run = EngineRun()
    run._on_progress = lambda fraction, text: run.stop(mode) if "trying" in text else None
    with pytest.raises(Cancelled, match=reason):
        engine.train(TrainRequest("toy-trying", "toy"), run)
    assert engine.runs()[0].state == "cancelled" and reason in str(engine.runs()[0].error)
    assert engine.models() == []


def test_stop_and_keep_while_scores_are_calibrated_saves_the_model_without_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = EngineRun()

    def endless(model, history, held_out, part, check):
        run.stop("keep")
        for _ in range(2000):
            check()
            time.sleep(0.005)
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(training, "KEPT_CALIBRATION_SECONDS", 0.1)
    monkeypatch.setattr(training, "calibrate", endless)
    record = engine.train(TrainRequest("toy-popular", "toy"), run)
    assert record.metrics["calibration"] == {"reason": "the run was stopped before its scores were calibrated"}
    assert record.metrics["stopped_early"] is False
    assert engine.model(record.id).calibration_note == "the run was stopped before its scores were calibrated"


def test_a_compilation_is_said_once_and_stops_with_the_run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = toys.ToyPopular._fit
    run = EngineRun()
    stopped: list[bool] = []

    def stop_at_first(self, train, context):
        if train.n_users < 60:
            if not stopped:
                run.stop("discard")
            stopped.append(context.should_stop)
        fit(self, train, context)

    monkeypatch.setattr(warming, "_done", set())
    monkeypatch.setattr(toys.ToyPopular, "_fit", stop_at_first)
    with pytest.raises(Cancelled):
        engine.train(TrainRequest("toy-popular", "toy"), run)
    assert stopped == [True]
    texts: list[str] = []
    for _ in range(2):
        engine.train(TrainRequest("toy-popular", "toy"), EngineRun(on_progress=lambda _, text: texts.append(text)))
        assert texts.count("Compiling, once") == 1
    assert stopped == [True, False], "what was stopped is warmed up again, what was not is not"


def test_after_a_compilation_the_run_says_again_what_it_does() -> None:
    seen: list[tuple[float, str]] = []
    run = EngineRun(on_progress=lambda fraction, text: seen.append((fraction, text)))
    run.progress(0.3, "Training X")
    with run.saying("Compiling, once"):
        assert seen[-1] == (0.3, "Compiling, once")
    run.flush()
    assert seen[-1] == (0.3, "Training X")


def test_a_hybrid_gets_its_members_from_the_engine(engine: Engine) -> None:
    engine.train(TrainRequest("toy-blend", "toy"))
    engine.train(TrainRequest("toy-together", "toy", {"weight": 2}))
    blend, together = engine.model("toy-blend"), engine.model("toy-together")
    query = blend.ask("00", None).query
    assert np.array_equal(blend.score(query)[0], together.score(query)[0])
    assert "toys break" in blend.model.left_out_


def test_progress_never_runs_back_while_members_of_a_hybrid_are_fitted(engine: Engine) -> None:
    seen: list[float] = []
    engine.train(TrainRequest("toy-blend", "toy"), EngineRun(on_progress=lambda fraction, text: seen.append(fraction)))
    assert seen == sorted(seen)


def test_a_workspace_that_is_only_read_trains_nothing(engine: Engine) -> None:
    path = engine.workspace.path
    from tests.engine import toys

    with Engine.open(path, mode="read", plugins={"toys": toys}) as reader, pytest.raises(NotWritable):
        reader.train(TrainRequest("toy-popular", "toy"))


def test_an_observer_is_told_of_runs_and_its_failure_costs_nothing(engine: Engine, tmp_path) -> None:
    from types import SimpleNamespace

    from recsys_desktop.api import hookimpl
    from tests.engine import toys

    told = []

    class Observer:
        def run_started(self, run, kind, request):
            told.append(("started", kind))

        def run_logged(self, run, step, values):
            told.append(("logged", step))
            raise RuntimeError("observers break too")

        def run_finished(self, run, state, result):
            told.append(("finished", state))

    path = engine.workspace.path
    engine.close()
    plugin = SimpleNamespace(recsys_desktop_run_observers=hookimpl(lambda: [Observer()]))
    with Engine.open(path, plugins={"toys": toys, "observer": plugin}) as opened:
        record = opened.train(TrainRequest("toy-epochs", "toy", {"epochs": 2, "best": 1}))
        assert record.version == 1
    assert told[0] == ("started", "train") and told[-1] == ("finished", "done")
    assert ("logged", 1) in told


def test_a_run_takes_its_device_from_the_workspace_unless_it_is_given_one(engine: Engine) -> None:
    engine.set_device("cuda")
    for run, device in ((EngineRun(), "cuda"), (EngineRun(device="auto"), "auto")):
        record = engine.train(TrainRequest("toy-popular", "toy"), run)
        assert engine.workspace.run(record.run_id or "").request["device"] == device


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x"])
def test_a_device_that_there_is_none_of_is_not_kept(engine: Engine, name: str) -> None:
    engine.set_device("cuda:1")
    with pytest.raises(InvalidParameter, match="is no device"):
        engine.set_device(name)
    assert engine.device == "cuda:1"
