"""The command line as a person runs it: a process of its own, with toy algorithms dropped into the workspace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import write_toy_files

ROOT = Path(__file__).resolve().parents[2]

PLUGIN = "from tests.engine.toys import recsys_desktop_algorithms\n"


class Finished:
    """A command line that has run: its exit code and what it wrote."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as the one JSON document that --json promises."""
        content: dict[str, Any] = json.loads(self.out)
        return content


Run = Callable[..., Finished]


def environment() -> dict[str, str]:
    """As the person's, with the tests importable and one thread."""
    more = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return {name: value for name, value in os.environ.items() if name != "RECSYS_DESKTOP_WORKSPACE"} | more


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """ratings.csv and items.csv."""
    return write_toy_files(tmp_path_factory.mktemp("cli-files"))


def new_workspace(folder: Path) -> Path:
    """An empty workspace folder with the toys as a dropped-in plugin."""
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "toys.py").write_text(PLUGIN)
    return folder


def run_in(workspace: Path, arguments: Sequence[Any], **more: Any) -> Finished:
    """`recsys-desktop ARGUMENTS --workspace WORKSPACE` in a process of its own."""
    command = [sys.executable, "-m", "recsys_desktop", *map(str, arguments), "--workspace", str(workspace)]
    return Finished(
        subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=240, env=environment(), **more
        )
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command line in an empty workspace of the test's own."""
    workspace = new_workspace(tmp_path / "workspace")
    return lambda *arguments, **more: run_in(workspace, arguments, **more)


@pytest.fixture(scope="session")
def shared_workspace(tmp_path_factory: pytest.TempPathFactory, files: tuple[Path, Path]) -> Path:
    """A workspace with the toy data and two models, which tests only read."""
    workspace = new_workspace(tmp_path_factory.mktemp("cli") / "workspace")
    ratings, items = files
    assert run_in(workspace, ["data", "import", ratings, "--name", "toy", "--items", items]).code == 0
    for algorithm in ("toy-together", "toy-mean"):
        done = run_in(workspace, ["train", algorithm, "--data", "toy"])
        assert done.code == 0, done.err
    return workspace


@pytest.fixture
def shared(shared_workspace: Path) -> Run:
    """Run a command line that reads in the shared workspace."""
    return lambda *arguments, **more: run_in(shared_workspace, arguments, **more)
