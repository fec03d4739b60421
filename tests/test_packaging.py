"""The distribution is whole: every package is declared, every entry point loads, the README's commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages_in_the_tree() -> set[str]:
    found = {"recsys_desktop.resources", "recsys_desktop.sample_data"}
    for base in (ROOT, ROOT / "plugins"):
        for init in base.glob("recsys_*/**/__init__.py"):
            found.add(".".join(init.parent.relative_to(base).parts))
    return found


def test_every_package_is_declared() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_in_the_tree()


def test_every_shipped_plugin_is_held_by_the_layers() -> None:
    shipped = {path.parent.name for path in (ROOT / "plugins").glob("recsys_*/plugin.py")}
    assert shipped <= set(PROJECT["tool"]["importlinter"]["root_packages"])
    assert shipped <= set(PROJECT["tool"]["mypy"]["packages"])


def test_every_shipped_plugin_is_an_entry_point() -> None:
    declared = {entry.value for entry in entry_points(group="recsys_desktop") if entry.dist is not None}
    shipped = {f"{path.parent.name}.plugin" for path in (ROOT / "plugins").glob("recsys_*/plugin.py")}
    assert shipped <= declared


@pytest.mark.parametrize("entry", sorted(PROJECT["project"]["entry-points"]["recsys_desktop"].values()))
def test_listing_a_plugin_imports_nothing_heavy(entry: str) -> None:
    code = (
        f"import sys, importlib; plugin = importlib.import_module({entry!r}); "
        "specs = plugin.recsys_desktop_algorithms();"
        "assert specs, 'the plugin brings nothing';"
        "heavy = {'torch', 'sklearn', 'numba', 'scipy', 'pandas', 'pyarrow', 'PySide6', 'sentence_transformers'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_qt_and_torch_stay_inside_the_tested_range() -> None:
    pins = dict(
        re.fullmatch(r"([\w.-]+)==([\w.+]+)", line).groups()  # type: ignore[union-attr]
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert pins["torch"] == "2.13.0"
    major, minor, patch = map(int, pins["PySide6_Essentials"].split("."))
    assert (6, 8, 3) <= (major, minor, patch) < (6, 12, 0)
    assert (major, minor, patch) not in {(6, 11, 0), (6, 11, 1)}
