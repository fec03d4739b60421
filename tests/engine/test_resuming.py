"""Trainings whose process is killed: what is left of them, and what becomes of it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from recsys_desktop.engine import (
    Cancelled,
    Engine,
    EngineRun,
    ImportRequest,
    LogEntry,
    TrainingFailed,
    TrainRequest,
    UnknownName,
)
from tests.killed_training import PAUSE_BEFORE_KILL, REQUEST, kill_at


def opened(folder: Path) -> Engine:
    return Engine.open(folder, threads=1)


class Recorded(EngineRun):
    """Keeps every log entry."""

    def __init__(self) -> None:
        super().__init__(device="cpu")
        self.entries: list[LogEntry] = []

    def log_entry(self, entry: LogEntry) -> None:
        super().log_entry(entry)
        self.entries.append(entry)


@pytest.fixture(scope="module")
def folder(toy_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the toy data."""
    folder = tmp_path_factory.mktemp("resuming") / "workspace"
    with opened(folder) as engine:
        engine.import_data(ImportRequest([toy_files[0]], "toy", [toy_files[1]]))
    return folder


@pytest.mark.parametrize(("phase", "step"), [("fit", 4), ("refit", 3)])
def test_a_killed_training_is_resumed_and_gives_the_same_model(folder: Path, phase: str, step: int) -> None:
    kill_at(folder, phase, step)
    with opened(folder) as engine:
        (left,) = engine.interrupted()
        assert (left.algorithm_name, left.data, left.phase) == ("NeuralCF", "toy", phase)
        assert left.epoch == step
        run, whole = Recorded(), Recorded()
        resumed = engine.resume(left.run_id[:8], run)
        expected = engine.train(TrainRequest("ncf", "toy", name="whole", **REQUEST), whole)
        assert run.entries == whole.entries
        one, other = (engine.model(record.label).model for record in (resumed, expected))
        assert one.fitted_state().keys() == other.fitted_state().keys()
        for name, weights in one.fitted_state()["weights_"].items():
            np.testing.assert_array_equal(weights, other.fitted_state()["weights_"][name])
        assert resumed.seed == REQUEST["seed"]
        if phase == "refit":
            assert resumed.fit_seconds >= PAUSE_BEFORE_KILL
        record = engine.workspace.run(resumed.run_id or "")
        assert record.request["resumes"] == left.run_id
        assert record.id in (engine.workspace.run(left.run_id).error or "")
        assert engine.interrupted() == []
        assert list((folder / "checkpoints").iterdir()) == []


def test_an_interrupted_training_can_be_given_up(folder: Path) -> None:
    kill_at(folder, "fit", 3)
    with opened(folder) as engine:
        (left,) = engine.interrupted()
        with pytest.raises(UnknownName, match="there is no interrupted run 'nothing'"):
            engine.resume("nothing")
        assert engine.discard_interrupted(left.run_id) == left
        assert engine.interrupted() == []
        with pytest.raises(UnknownName, match="no run was interrupted"):
            engine.resume(left.run_id)


@pytest.mark.parametrize("ending", ["done", "kept", "cancelled", "failed"])
def test_nothing_is_left_of_a_run_that_ended(folder: Path, ending: str) -> None:
    run = EngineRun(device="cpu")
    seen: list[list[str]] = []
    place = folder / "checkpoints"

    def look(entries: list[LogEntry]) -> None:
        seen.append([path.name for path in place.iterdir()])
        if ending in ("kept", "cancelled"):
            run.stop("keep" if ending == "kept" else "discard")
        if ending == "failed":
            raise RuntimeError("the face has gone")

    run._on_log = look
    with opened(folder) as engine:
        failure = {"cancelled": pytest.raises(Cancelled), "failed": pytest.raises(TrainingFailed)}.get(ending)
        with failure or nullcontext():
            engine.train(TrainRequest("ncf", "toy", **REQUEST), run)
        assert seen[0] == [run.run_id]
        assert list(place.iterdir()) == []
