"""Where the workspace is looked for, and what importing the room costs."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from recsys_desktop.workspace import ENVIRONMENT_VARIABLE, Workspace, workspace_folder

RunPython = Callable[..., subprocess.CompletedProcess[str]]


def test_explicit_folder_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "environment"))
    assert workspace_folder(tmp_path / "explicit") == tmp_path / "explicit"


def test_environment_wins_over_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "environment"))
    assert workspace_folder() == tmp_path / "environment"
    with Workspace.open() as workspace:
        assert workspace.path == tmp_path / "environment"


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_platform_folder_is_the_default(monkeypatch: pytest.MonkeyPatch, empty: str | None) -> None:
    if empty is None:
        monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, empty)
    assert workspace_folder() == Path(platformdirs.user_data_dir("recsys-desktop", appauthor=False))


def test_home_is_expanded_and_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert workspace_folder("~/here") == tmp_path / "here"
    assert workspace_folder("there") == tmp_path / "there"


def test_importing_the_room_loads_the_standard_library_only(run_python: RunPython) -> None:
    finished = run_python(
        "import sys, recsys_desktop.workspace\n"
        "outside = {m.split('.')[0] for m in sys.modules if not m.startswith('_')}\n"
        "known = set(sys.stdlib_module_names) | {'recsys_desktop', 'sitecustomize', 'usercustomize'}\n"
        "print(sorted(outside - known))"
    )
    assert finished.stdout.strip() == "[]", finished.stderr
