"""Datasets on disk: an exact round trip, and refusal of what is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_desktop.api import (
    CategoryColumn,
    Dataset,
    FeatureTable,
    InvalidData,
    NumericColumn,
    RatingScale,
    Role,
    TagsColumn,
    TextColumn,
    Vocabulary,
)
from recsys_desktop.data import load_dataset, save_dataset
from recsys_desktop.data.errors import DamagedDataset

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


def objects(values) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def rich() -> Dataset:
    features = FeatureTable(
        3,
        {
            "title": TextColumn(objects(["A", "", "é\n\x00"]), Role.TITLE),
            "kind": CategoryColumn(np.array([1, -1, 0], np.int32), ("b", "a", "unused")),
            "tags / odd": TagsColumn(np.array([0, 2, 2, 3]), np.array([1, 0, 1], np.int32), ("y", "x")),
            "year": NumericColumn(np.array([1990, np.nan, -0.0], np.float32), "year"),
            "id": TextColumn(objects(["1", "2", "3"])),
        },
    )
    return Dataset(
        Vocabulary(["007", "7"]),
        Vocabulary(["x", "y", "z"]),
        np.array([0, 1, 1], np.int32),
        np.array([2, 0, 1], np.int32),
        np.array([1.5, 4, 5], np.float32),
        np.array([1, 2, 0.5], np.float32),
        np.array([10**10, -5, 0], np.int64),
        np.array([0, 1, 1], np.int32),
        ("view", "buy"),
        item_features=features,
        rating_scale=RatingScale(0.5, 5, 0.5),
        provenance={"roles": "user=user", "cleaning": "{}"},
        name="Rich ✓",
    )


def same(first: Dataset, second: Dataset) -> None:
    assert first.fingerprint == second.fingerprint
    second.__dict__.pop("fingerprint")
    assert first.fingerprint == second.fingerprint
    assert (first.name, first.provenance, first.event_names) == (second.name, second.provenance, second.event_names)
    assert first.rating_scale == second.rating_scale
    for name in ("users", "items", "ratings", "weights", "timestamps", "events"):
        before, after = getattr(first, name), getattr(second, name)
        assert (before is None) == (after is None)
        if before is not None:
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)
    for table, other in ((first.item_features, second.item_features), (first.user_features, second.user_features)):
        assert list(table.columns) == list(other.columns)
        assert [table.describe(row) for row in range(len(table))] == [other.describe(row) for row in range(len(other))]
        assert [column.role for column in table.columns.values()] == [column.role for column in other.columns.values()]


def test_everything_comes_back(tmp_path) -> None:
    save_dataset(rich(), tmp_path / "d")
    same(rich(), load_dataset(tmp_path / "d", verify=True))
    same(rich(), load_dataset(tmp_path / "d"))


def test_a_catalogue_and_bare_pairs_come_back(tmp_path) -> None:
    nobody = Dataset(Vocabulary([]), Vocabulary(["a"]), np.array([], np.int32), np.array([], np.int32))
    save_dataset(nobody, tmp_path / "a")
    same(nobody, load_dataset(tmp_path / "a", verify=True))
    pairs = Dataset(Vocabulary(["u"]), Vocabulary(["a"]), np.array([0], np.int32), np.array([0], np.int32))
    save_dataset(pairs, tmp_path / "b")
    same(pairs, load_dataset(tmp_path / "b", verify=True))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_dataset_comes_back(tmp_path_factory, data) -> None:
    ids = data.draw(st.lists(TEXTS.filter(bool), min_size=1, max_size=6, unique=True))
    n = data.draw(st.integers(0, 8))
    codes = st.lists(st.integers(0, len(ids) - 1), min_size=n, max_size=n)
    tags = data.draw(
        st.lists(st.lists(st.integers(0, 2), max_size=3, unique=True), min_size=len(ids), max_size=len(ids))
    )
    features = FeatureTable(
        len(ids),
        {
            data.draw(TEXTS): TextColumn(objects(data.draw(st.lists(TEXTS, min_size=len(ids), max_size=len(ids))))),
            "tags": TagsColumn(
                np.cumsum([0, *map(len, tags)]).astype(np.int64),
                np.array([code for row in tags for code in row], dtype=np.int32),
                tuple(data.draw(st.lists(TEXTS, min_size=3, max_size=3, unique=True))),
            ),
        },
    )
    original = Dataset(
        Vocabulary(ids),
        Vocabulary(ids),
        np.array(data.draw(codes), dtype=np.int32),
        np.array(data.draw(codes), dtype=np.int32),
        np.array(data.draw(st.lists(st.floats(-1e9, 1e9, width=32), min_size=n, max_size=n)), dtype=np.float32),
        timestamps=np.array(data.draw(st.lists(st.integers(-(2**62), 2**62), min_size=n, max_size=n)), dtype=np.int64),
        item_features=features,
    )
    folder = tmp_path_factory.mktemp("any")
    save_dataset(original, folder)
    same(original, load_dataset(folder, verify=True))


@pytest.mark.parametrize("name", ["manifest.json", "interactions.parquet", "users.parquet", "items.parquet"])
def test_missing_and_truncated_files(tmp_path, name) -> None:
    save_dataset(rich(), tmp_path)
    path: Path = tmp_path / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedDataset, match=name):
        load_dataset(tmp_path)
    path.unlink()
    with pytest.raises(DamagedDataset, match=f"{name}: it is missing"):
        load_dataset(tmp_path)


def test_files_that_do_not_fit_together(tmp_path) -> None:
    save_dataset(rich(), tmp_path)
    other = Dataset(Vocabulary(["a"]), Vocabulary(["b"]), np.array([0], np.int32), np.array([0], np.int32))
    save_dataset(other, tmp_path / "other")
    (tmp_path / "users.parquet").write_bytes((tmp_path / "other" / "users.parquet").read_bytes())
    with pytest.raises(DamagedDataset):
        load_dataset(tmp_path)


def test_a_newer_version_and_another_fingerprint(tmp_path) -> None:
    save_dataset(rich(), tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "version": 99}))
    with pytest.raises(DamagedDataset, match="newer version"):
        load_dataset(tmp_path)
    path.write_text(json.dumps({**manifest, "fingerprint": "0" * 32}))
    with pytest.raises(DamagedDataset, match="fingerprint"):
        load_dataset(tmp_path, verify=True)
    path.write_text(json.dumps({"format": "something else"}))
    with pytest.raises(DamagedDataset, match="not the manifest"):
        load_dataset(tmp_path)


def test_text_that_is_no_unicode_is_refused(tmp_path) -> None:
    broken = Dataset(Vocabulary(["\ud800"]), Vocabulary(["a"]), np.array([0], np.int32), np.array([0], np.int32))
    with pytest.raises(InvalidData, match="cannot be written as UTF-8"):
        save_dataset(broken, tmp_path)
