"""Training: forecast, fit, calibrate, save as the next version; and the same for a run that was killed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.engine.calibration import Calibration, calibrate
from recsys_desktop.engine.fitting import FitJob, Fitted, checked_params, fit
from recsys_desktop.engine.interrupted import find_interrupted, interrupted_runs
from recsys_desktop.engine.memory import require_memory
from recsys_desktop.engine.recording import RecordedRun, recorded
from recsys_desktop.engine.requests import TrainRequest
from recsys_desktop.engine.runs import EngineRun
from recsys_desktop.engine.serving import CALIBRATION_FILE
from recsys_desktop.engine.session import Session
from recsys_desktop.workspace import ModelRecord, NotWritable
from recsys_desktop.workspace.naming import check_model_name

logger = logging.getLogger(__name__)

_FITTED = 0.9
_CALIBRATED = 0.96


KEPT_CALIBRATION_SECONDS = 2.0
"""How long scores may be calibrated in all once the run was asked to stop and keep its model."""


class _Enough(Exception):
    """The person waits for a model, and it is there: it is saved without a calibration."""


def train(session: Session, request: TrainRequest, run: EngineRun) -> ModelRecord:
    """As `Engine.train`."""
    run.require_device()
    return _train(session, request, run, run.threads_or(session.threads), run.device_or(session.device), None)


def resume(session: Session, reference: str, run: EngineRun) -> ModelRecord:
    """As `Engine.resume`."""
    run.require_device()
    left = find_interrupted(interrupted_runs(session.workspace, session.registry), reference)
    known = {field.name for field in fields(TrainRequest)}
    asked = session.workspace.run(left.run_id).request
    values = {name: value for name, value in asked.items() if name in known}
    # The name may stand for other data by now.
    request = TrainRequest(**{**values, "data": left.dataset_fingerprint or left.data})
    threads = run.threads_or(asked.get("threads", session.threads))
    device = run.device_or(asked.get("device", session.device))
    return _train(session, request, run, threads, device, left.run_id)


@contextmanager
def _checkpoints(session: Session, run_id: str, resumes: str | None) -> Iterator[Path]:
    """The folder of a run's checkpoints, that of the run which it resumes; gone however the run ends."""
    places = session.workspace.checkpoints
    if resumes is None:
        folder = places.create(run_id)
    else:
        folder = places.hand_over(resumes, run_id)
        session.workspace.note_resumed(resumes, run_id)
    try:
        yield folder
    finally:
        places.discard(run_id)


def _train(
    session: Session, request: TrainRequest, run: EngineRun, threads: int, device: str, resumes: str | None
) -> ModelRecord:
    """Train what is asked for; with the checkpoints of a killed run of the same request where `resumes` names one."""
    spec = session.registry.spec(request.algorithm)
    params = checked_params(session.registry, spec, request.params)
    name = check_model_name(request.name or spec.id)
    data = session.workspace.resolve_dataset(request.data)
    if session.workspace.mode != "write":
        raise NotWritable(session.workspace.path)
    run.progress(0.0, f"Loading {data.name}")
    dataset = session.dataset(data.fingerprint)
    if not request.force:
        require_memory(session.registry, spec.id, params.to_dict(), dataset.shape)
    asked = {**request.to_dict(), "params": params.to_dict(), "threads": threads, "device": device}
    if resumes is not None:
        asked["resumes"] = resumes
    with (
        recorded(session, run, "train", asked, data.fingerprint) as recording,
        _checkpoints(session, recording.id, resumes) as checkpoints,
    ):
        job = FitJob(session.registry, spec, params, request.seed, threads, run.checkpoints or checkpoints, device)
        run.progress(0.0, f"Training {spec.name}")
        fitted = fit(job, dataset, run, hold_out=request.calibrate, span=(0.0, _FITTED))
        run.check()
        calibration, note = _calibration(request, fitted, run)
        run.check()
        run.progress(_CALIBRATED, "Saving")
        return _publish(session, spec, request, name, data.fingerprint, fitted, calibration, note, recording, run)


def _calibration(request: TrainRequest, fitted: Fitted, run: EngineRun) -> tuple[Calibration | None, str]:
    if not request.calibrate:
        return None, "calibration was switched off"
    if fitted.trial is None or fitted.history is None or not fitted.held_out:
        return None, "there was nothing to hold out: nobody has two interactions"
    begun = time.monotonic()

    def check() -> None:
        run.check()
        if run.kept and time.monotonic() - begun > KEPT_CALIBRATION_SECONDS:
            raise _Enough

    try:
        return calibrate(fitted.trial, fitted.history, fitted.held_out, run.part(_FITTED, _CALIBRATED), check)
    except _Enough:
        return None, "the run was stopped before its scores were calibrated"


def _publish(
    session: Session,
    spec: AlgorithmSpec,
    request: TrainRequest,
    name: str,
    fingerprint: str,
    fitted: Fitted,
    calibration: Calibration | None,
    calibration_note: str,
    recording: RecordedRun,
    run: EngineRun,
) -> ModelRecord:
    metrics: dict[str, Any] = {"stopped_early": fitted.stopped_early}
    if fitted.validation is not None:
        metrics["validation"] = {
            "name": fitted.validation.name,
            "value": fitted.validation.value,
            "larger_is_better": fitted.validation.larger_is_better,
        }
    if fitted.epochs is not None:
        metrics["epochs"] = fitted.epochs
    if fitted.model.chosen_:
        metrics["chosen"] = fitted.model.chosen_
    metrics["calibration"] = (
        {"error": calibration.error, "candidates": calibration.candidates, "users": calibration.users}
        if calibration is not None
        else {"reason": calibration_note}
    )
    with session.workspace.publish_model(
        name,
        algorithm=spec.id,
        params=fitted.model.params.to_dict(),
        seed=request.seed,
        dataset_fingerprint=fingerprint,
        run_id=recording.id,
        metrics=metrics,
        fit_seconds=fitted.fit_seconds,
        peak_memory_bytes=fitted.peak_memory_bytes,
        note=request.note,
    ) as publication:
        fitted.model.save(publication.folder)
        content = calibration.to_dict() if calibration is not None else {"reason": calibration_note}
        (publication.folder / CALIBRATION_FILE).write_text(json.dumps(content), encoding="utf-8")
        run.check()
    record = publication.record
    recording.result = {"model": record.id, "label": record.label}
    run.progress(1.0, f"Saved {record.label}")
    logger.info("Trained %s in %.2f s", record.label, fitted.fit_seconds)
    return record
