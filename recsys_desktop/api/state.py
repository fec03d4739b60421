"""State: a fitted model as a JSON manifest and a safetensors file, without pickle.

The state is a tree of None, booleans, numbers, text, arrays (numbers only), CSR matrices, torch tensors, lists, tuples,
text-keyed dicts and nested Recommenders. Arrays live in `tensors.safetensors`; everything else in `manifest.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_desktop.api.errors import InvalidData, InvalidParameter, StateError
from recsys_desktop.api.version import API_VERSION
from recsys_desktop.api.vocabulary import Vocabulary

if TYPE_CHECKING:
    from recsys_desktop.api.algorithm import AlgorithmSpec
    from recsys_desktop.api.recommender import Recommender

FORMAT = 1
MANIFEST = "manifest.json"
TENSORS = "tensors.safetensors"

Resolve = Callable[[str], "AlgorithmSpec"]


def save(model: Recommender, folder: Path, include_users: bool = True) -> None:
    """Write a fitted model into an existing folder.

    include_users: false leaves the user ids out (the model then knows nobody by name).

    Raises
    ------
    StateError: an attribute that ends in `_` holds something that cannot be stored. OSError: the disk refuses.
    """
    from safetensors.numpy import save_file

    writer = _Writer(model)
    manifest = {
        "format": FORMAT,
        "api_version": API_VERSION,
        "items": model.item_vocabulary.ids.tolist(),
        "users": model.user_vocabulary.ids.tolist() if include_users else None,
        "model": writer.model(model),
    }
    save_file(writer.arrays, folder / TENSORS)
    text = json.dumps(manifest, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def load(folder: Path, resolve: Resolve) -> Recommender:
    """Read a model back.

    resolve: gives the AlgorithmSpec of an id, for the model and its nested models.

    Raises
    ------
    StateError: a file is missing, cut short, not what it says, or from a newer version; or an algorithm is unknown.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    manifest = read_manifest(folder)
    try:
        arrays = load_file(folder / TENSORS)
    except FileNotFoundError:
        raise StateError(f"{folder / TENSORS} is missing: the model cannot be loaded") from None
    except SafetensorError as error:
        raise StateError(f"{folder / TENSORS} is damaged ({error}): use another version of the model") from error
    try:
        items = Vocabulary(manifest["items"])
        users = Vocabulary(manifest["users"] or ())
        return _Reader(arrays, resolve, users, items).model(manifest["model"])
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, InvalidData) as error:
        raise StateError(f"{folder / MANIFEST} does not describe a model ({error!r})") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest alone, without loading arrays.

    Raises
    ------
    StateError: as `load`.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StateError(f"{path} is missing: the model cannot be loaded") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StateError(f"{path} is damaged ({error}): use another version of the model") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise StateError(f"{path} is not a model manifest")
    if manifest["format"] > FORMAT:
        raise StateError(
            f"{path} was written by a newer version (format {manifest['format']}, this one reads up to {FORMAT}): "
            "update the application"
        )
    return manifest


class _Writer:
    def __init__(self, root: Recommender) -> None:
        self.root = root
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def model(self, model: Recommender) -> dict[str, Any]:
        if model.item_vocabulary != self.root.item_vocabulary or model.user_vocabulary != self.root.user_vocabulary:
            raise StateError(f"nested model '{model.spec.id}' has another vocabulary than the model that holds it")
        return {
            "algorithm": model.spec.id,
            "params": model.params.to_dict(),
            "state_version": model.state_version,
            "state": {name: self.value(name, value) for name, value in model.fitted_state().items()},
        }

    def array(self, value: np.ndarray[Any, Any]) -> str:
        key = str(len(self.arrays))
        self.arrays[key] = np.asarray(value, order="C")
        return key

    def value(self, where: str, value: Any) -> Any:
        from recsys_desktop.api.recommender import Recommender

        if value is None or isinstance(value, bool | str | int):
            return value
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return self.value(where, value.item())
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biuf":
                raise StateError(f"attribute '{where}' is an array of {value.dtype}; only numbers can be stored")
            return {"$array": self.array(value)}
        if isinstance(value, Recommender):
            return {"$model": self.model(value)}
        if isinstance(value, list):
            return [self.value(f"{where}[{i}]", part) for i, part in enumerate(value)]
        if isinstance(value, tuple):
            return {"$tuple": [self.value(f"{where}[{i}]", part) for i, part in enumerate(value)]}
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise StateError(f"attribute '{where}' is a dict with keys that are not text")
            return {"$dict": {key: self.value(f"{where}[{key!r}]", part) for key, part in value.items()}}
        if getattr(value, "format", None) == "csr":
            return {
                "$csr": [self.array(value.data), self.array(value.indices), self.array(value.indptr)],
                "shape": list(map(int, value.shape)),
            }
        if type(value).__module__.startswith("torch") and hasattr(value, "detach"):
            return {"$tensor": self.array(value.detach().cpu().numpy())}
        raise StateError(f"attribute '{where}' is a {type(value).__name__}, which cannot be stored")


class _Reader:
    def __init__(
        self, arrays: dict[str, np.ndarray[Any, Any]], resolve: Resolve, users: Vocabulary, items: Vocabulary
    ) -> None:
        self.arrays = arrays
        self.resolve = resolve
        self.users = users
        self.items = items

    def model(self, node: dict[str, Any]) -> Recommender:
        spec = self.resolve(node["algorithm"])
        cls = spec.load()
        if node["state_version"] > cls.state_version:
            raise StateError(
                f"the model was saved by a newer '{spec.id}' (state version {node['state_version']}, this one reads "
                f"up to {cls.state_version}): update the plugin"
            )
        try:
            params = node["params"]
            if node["state_version"] < cls.state_version:
                params = cls.migrate_params(dict(params), node["state_version"])
            model = cls(spec.params.parse(params))
        except InvalidParameter as error:
            raise StateError(f"the saved parameters of '{spec.id}' are not valid any more: {error}") from error
        state = {name: self.value(value) for name, value in node["state"].items()}
        if node["state_version"] < cls.state_version:
            try:
                state = model.migrate_state(state, node["state_version"])
            except NotImplementedError as error:
                raise StateError(f"{error}: train the model again") from error
        model.user_vocabulary, model.item_vocabulary = self.users, self.items
        for name, value in state.items():
            if name.startswith("_") or not name.endswith("_"):
                raise StateError(f"the saved model of '{spec.id}' is damaged: '{name}' is no fitted attribute")
            setattr(model, name, value)
        model.check_state()
        return model

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$array" in node:
            return self.arrays[node["$array"]]
        if "$dict" in node:
            return {key: self.value(part) for key, part in node["$dict"].items()}
        if "$tuple" in node:
            return tuple(self.value(part) for part in node["$tuple"])
        if "$float" in node:
            return float(node["$float"])
        if "$model" in node:
            return self.model(node["$model"])
        if "$csr" in node:
            from scipy.sparse import csr_matrix

            data, indices, indptr = (self.arrays[key] for key in node["$csr"])
            matrix = csr_matrix((data, indices, indptr), shape=tuple(node["shape"]))
            matrix.check_format(full_check=True)
            return matrix
        if "$tensor" in node:
            import torch

            return torch.from_numpy(self.arrays[node["$tensor"]])
        raise StateError(f"unknown kind of value in the manifest: {sorted(node)}")
