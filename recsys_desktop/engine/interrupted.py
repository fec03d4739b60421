"""Interrupted trainings: those that were killed with their process and have left a checkpoint to take up."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from recsys_desktop.engine.errors import Misuse, UnknownName
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.results import InterruptedRun
from recsys_desktop.engine.session import Session
from recsys_desktop.workspace import NotWritable, RecordNotFound, RunRecord, Workspace

logger = logging.getLogger(__name__)

LATEST = "latest"
"""Stands for the id of the training that was interrupted last."""


def interrupted_runs(workspace: Workspace, registry: Registry) -> list[InterruptedRun]:
    """As `Engine.interrupted`."""
    return [_interrupted(workspace, registry, run) for run in workspace.resumable_runs() if run.kind == "train"]


def find_interrupted(runs: Sequence[InterruptedRun], reference: str) -> InterruptedRun:
    """The run of an id, of the start of one, or `LATEST`. runs: newest first.

    Raises
    ------
    UnknownName, Misuse: there is no such run, or several ids begin like this.
    """
    wanted = reference.strip()
    if wanted == LATEST and runs:
        return runs[0]
    found = [run for run in runs if wanted and run.run_id.startswith(wanted)]
    if len(found) > 1:
        raise Misuse(f"'{wanted}' begins several interrupted runs: {', '.join(run.run_id for run in found)}")
    if not found:
        nothing = "no run was interrupted with a checkpoint left" if not runs else ""
        raise UnknownName("interrupted run", wanted, [run.run_id for run in runs], remark=nothing)
    return found[0]


def discard_interrupted(session: Session, reference: str) -> InterruptedRun:
    """As `Engine.discard_interrupted`."""
    if session.workspace.mode != "write":
        raise NotWritable(session.workspace.path)
    left = find_interrupted(interrupted_runs(session.workspace, session.registry), reference)
    session.workspace.checkpoints.discard(left.run_id)
    return left


def _interrupted(workspace: Workspace, registry: Registry, run: RunRecord) -> InterruptedRun:
    values = workspace.run_values(run.id)
    algorithm, data = run.request["algorithm"], run.request["data"]
    spec = registry.algorithms.get(algorithm)
    phase = values[-1].name.partition("/")[0] if values else ""
    try:
        data = workspace.resolve_dataset(run.dataset_fingerprint or data).name
    except RecordNotFound:
        logger.info("The data of the interrupted run %s are gone", run.id)
    return InterruptedRun(
        run_id=run.id,
        algorithm=algorithm,
        algorithm_name=algorithm if spec is None else spec.name,
        data=data,
        dataset_fingerprint=run.dataset_fingerprint,
        started=run.started.isoformat(),
        epoch=values[-1].step if values else 0,
        phase=phase,
    )
