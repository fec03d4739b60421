"""Saved models with one array cut short, which loading has to refuse before an answer reads beyond an end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from recsys_desktop.api import Recommender, StateError, state


def hold_refuses_short_arrays(model: Recommender, folder: Path) -> None:
    """Save `model`; with any one of its arrays a row shorter, or a CSR index beyond the columns, it must not load."""
    model.save(folder)
    arrays = load_file(folder / state.TENSORS)
    text = (folder / state.MANIFEST).read_text(encoding="utf-8")
    assert Recommender.load(folder, lambda name: model.spec).spec.id == model.spec.id
    damaged = [{**arrays, key: array[:-1].copy()} for key, array in arrays.items() if len(array)]
    for key in _index_arrays(json.loads(text)):
        far = arrays[key].copy()
        far[-1] += 1_000_000
        damaged.append({**arrays, key: far})
    for content in damaged:
        save_file(content, folder / state.TENSORS)
        with pytest.raises(StateError, match=r"fit together|does not describe"):
            Recommender.load(folder, lambda name: model.spec)


def loaded_as_of_version_1(
    model: Recommender, folder: Path, params: dict[str, object], without: tuple[str, ...]
) -> Recommender:
    """Save `model` as version 1 of its state would have been: with these parameters, less these attributes."""
    model.save(folder)
    path = folder / state.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    node = manifest["model"]
    node["state_version"], node["params"] = 1, params
    for name in without:
        del node["state"][name]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return Recommender.load(folder, lambda name: model.spec)


def _index_arrays(node: object) -> list[str]:
    """The keys of the column indices of all CSR matrices of a manifest."""
    if isinstance(node, list):
        return [key for part in node for key in _index_arrays(part)]
    if not isinstance(node, dict):
        return []
    if "$csr" in node:
        return [node["$csr"][1]]
    return [key for part in node.values() for key in _index_arrays(part)]
