"""The room itself: light to import, complete in its facade, with the readers and splitters that the engine lists."""

from __future__ import annotations

import subprocess
import sys

import pytest

import recsys_desktop.data
from recsys_desktop.data.readers.built_in import BUILT_IN_READERS
from recsys_desktop.data.splits import SPLITTERS


def test_importing_the_room_its_readers_and_its_splitters_is_light() -> None:
    code = (
        "import sys, recsys_desktop.data, recsys_desktop.data.readers.built_in, recsys_desktop.data.splits\n"
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


def test_the_readers_and_splitters_that_are_built_in() -> None:
    readers = {spec.id for spec in BUILT_IN_READERS}
    splitters = [spec.id for spec in SPLITTERS]
    assert readers == {"csv", "movielens", "recbole", "orange", "parquet", "json", "json-lines", "excel"}
    assert splitters[0] == "per-user"
    assert {"random", "leave-last-out", "global-time", "k-fold", "strong-generalisation"} < set(splitters)
