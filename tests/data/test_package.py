"""The room itself: light to import, complete in its facade, present as a plugin."""

from __future__ import annotations

import subprocess
import sys

import pluggy
import pytest

import recsys_desktop.data
from recsys_desktop.api import hooks
from recsys_desktop.data import plugin


def test_importing_the_room_and_its_plugin_is_light() -> None:
    code = (
        "import sys, recsys_desktop.data, recsys_desktop.data.plugin\n"
        "heavy = {'scipy', 'pandas', 'pyarrow', 'numba', 'torch', 'sklearn', 'charset_normalizer', 'openpyxl'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("name", recsys_desktop.data.__all__)
def test_every_name_of_the_facade_is_there(name) -> None:
    assert getattr(recsys_desktop.data, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        recsys_desktop.data.nothing  # noqa: B018


def test_the_plugin_brings_readers_and_splitters() -> None:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(plugin)
    manager.check_pending()
    readers = [spec.id for found in manager.hook.recsys_desktop_readers() for spec in found]
    splitters = [spec.id for found in manager.hook.recsys_desktop_splitters() for spec in found]
    assert {"csv", "movielens", "recbole", "orange", "parquet", "json", "json-lines", "excel"} == set(readers)
    assert splitters[0] == "per-user"
    assert {"random", "leave-last-out", "global-time", "k-fold", "strong-generalisation"} < set(splitters)
