"""Fixtures of the workspace's tests: real folders, real processes."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys_desktop.workspace import ModelRecord, Workspace

REPOSITORY = Path(__file__).resolve().parents[2]

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def child_environment() -> dict[str, str]:
    """The environment in which a child process finds the package, installed or not."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def run_python(child_environment: dict[str, str]) -> RunPython:
    """Run a piece of Python in a process of its own; ``prefix`` is a command put before it."""

    def run(code: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=child_environment,
        )

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test's workspace is; its name has what file systems and URIs find hard."""
    return tmp_path / "my workspace #1 50% ü?"


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    """An open workspace, for writing."""
    with Workspace.open(folder) as opened:
        yield opened


@pytest.fixture
def publish() -> Callable[..., ModelRecord]:
    """Publish a small model under a name."""

    def publish_model(workspace: Workspace, name: str = "ease", **details: object) -> ModelRecord:
        arguments: dict[str, object] = {"algorithm": "ease", "params": {"l2": 500.0}, **details}
        with workspace.publish_model(name, **arguments) as publication:  # type: ignore[arg-type]
            (publication.folder / "manifest.json").write_text('{"state_version": 1}')
            (publication.folder / "member").mkdir()
            (publication.folder / "member" / "weights.safetensors").write_bytes(bytes(range(256)) * 64)
        return publication.record

    return publish_model


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Tests that configure logging leave it as they found it."""
    root, ours = logging.getLogger(), logging.getLogger("recsys_desktop")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
