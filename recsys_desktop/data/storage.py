"""A Dataset on disk: a folder of Parquet files and a JSON manifest, read back exactly, fingerprint included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, RatingScale
from recsys_desktop.api.errors import InvalidData
from recsys_desktop.api.features import CategoryColumn, Column, FeatureTable, NumericColumn, TagsColumn, TextColumn
from recsys_desktop.api.roles import Role
from recsys_desktop.api.vocabulary import Vocabulary
from recsys_desktop.data.errors import DamagedDataset

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
INTERACTIONS = "interactions.parquet"
USERS = "users.parquet"
ITEMS = "items.parquet"

_INTERACTION_COLUMNS = ("users", "items", "ratings", "weights", "timestamps", "events")
_ENCODINGS = {
    "users": "DELTA_BINARY_PACKED",
    "items": "BYTE_STREAM_SPLIT",
    "ratings": "BYTE_STREAM_SPLIT",
    "weights": "BYTE_STREAM_SPLIT",
    "timestamps": "DELTA_BINARY_PACKED",
    "events": "DELTA_BINARY_PACKED",
}
_ROW_GROUP = 1 << 20
_IDS = "id"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a Dataset into `folder` (made where it is missing): Parquet files first, the manifest last.

    Raises
    ------
    InvalidData: a text cannot be written as UTF-8. OSError: the disk is full or not writable.
    """
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: array for name in _INTERACTION_COLUMNS if (array := getattr(dataset, name)) is not None}
    _write(folder / INTERACTIONS, pa.table({name: pa.array(array) for name, array in columns.items()}))
    described = {}
    for label, file, vocabulary, features in (
        ("users", USERS, dataset.user_vocabulary, dataset.user_features),
        ("items", ITEMS, dataset.item_vocabulary, dataset.item_features),
    ):
        arrays, description = _feature_arrays(features)
        _write(folder / file, pa.table({_IDS: _texts(vocabulary.ids, f"{label} ids"), **arrays}))
        described[label] = description
    scale = dataset.rating_scale
    manifest = {
        "format": "recsys-desktop dataset",
        "version": FORMAT_VERSION,
        "fingerprint": dataset.fingerprint,
        "name": dataset.name,
        "interactions": len(dataset),
        "users": dataset.n_users,
        "items": dataset.n_items,
        "columns": list(columns),
        "event_names": list(dataset.event_names),
        "rating_scale": None if scale is None else [float(scale.minimum), float(scale.maximum), float(scale.step)],
        "provenance": dict(dataset.provenance),
        "user_features": described["users"],
        "item_features": described["items"],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _write(path: Path, table: pa.Table) -> None:
    from pyarrow import parquet

    texts = [field.name for field in table.schema if str(field.type) in ("string", "large_string")]
    encodings = {name: encoding for name, encoding in _ENCODINGS.items() if name in table.column_names}
    parquet.write_table(
        table,
        path,
        compression="lz4",
        use_dictionary=texts,
        column_encoding=encodings or None,
        row_group_size=_ROW_GROUP,
    )


def _texts(values: npt.NDArray[np.object_], what: str) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError as error:
        raise InvalidData(f"{what}: {error.object!r} cannot be written as UTF-8") from None


def _feature_arrays(features: FeatureTable) -> tuple[dict[str, pa.Array], list[dict[str, Any]]]:
    """Arrow columns and their description; column i is stored as "i", since a name may be anything."""
    import pyarrow as pa

    arrays: dict[str, pa.Array] = {}
    described: list[dict[str, Any]] = []
    for position, (name, column) in enumerate(features.columns.items()):
        key = str(position)
        entry: dict[str, Any] = {"name": name, "role": column.role.value}
        if isinstance(column, TextColumn):
            entry["type"] = "text"
            arrays[key] = _texts(column.values, name)
        elif isinstance(column, CategoryColumn):
            entry |= {"type": "category", "categories": list(column.categories)}
            arrays[key] = pa.array(column.codes)
        elif isinstance(column, TagsColumn):
            entry |= {"type": "tags", "categories": list(column.categories)}
            arrays[key] = pa.LargeListArray.from_arrays(pa.array(column.indptr), pa.array(column.indices))
        else:
            entry |= {"type": "numeric", "unit": column.unit}
            arrays[key] = pa.array(column.values)
        described.append(entry)
    return arrays, described


def load_dataset(folder: Path, verify: bool = False) -> Dataset:
    """Read a Dataset that `save_dataset` wrote.

    verify: compute the fingerprint and compare it with the manifest's (about a second for 25 million rows); otherwise
    the manifest's is believed, which is right where the folder's checksums are watched by others.

    Raises
    ------
    DamagedDataset: a file is missing, cut short or altered, or was written by a newer version.
    """
    manifest = _read_manifest(folder / MANIFEST)
    rows = _read(folder / INTERACTIONS)
    users = _read(folder / USERS)
    items = _read(folder / ITEMS)
    scale = manifest["rating_scale"]
    columns = {name: _numbers(rows, name) for name in manifest["columns"]}
    try:
        dataset = Dataset(
            user_vocabulary=Vocabulary(_objects(users, _IDS)),
            item_vocabulary=Vocabulary(_objects(items, _IDS)),
            user_features=_features(users, manifest["user_features"]),
            item_features=_features(items, manifest["item_features"]),
            event_names=tuple(manifest["event_names"]),
            rating_scale=None if scale is None else RatingScale(*scale),
            provenance=manifest["provenance"],
            name=manifest["name"],
            **columns,
        )
    except (InvalidData, KeyError, TypeError) as error:
        raise DamagedDataset(
            folder, f"its files do not fit together ({error})", advice="Import the data again"
        ) from None
    expected = (manifest["interactions"], manifest["users"], manifest["items"])
    if (len(dataset), dataset.n_users, dataset.n_items) != expected:
        raise DamagedDataset(folder, "it holds less than its manifest says", advice="Import the data again")
    if verify and dataset.fingerprint != manifest["fingerprint"]:
        raise DamagedDataset(folder, "its content does not have its fingerprint", advice="Import the data again")
    dataset.__dict__["fingerprint"] = manifest["fingerprint"]
    return dataset


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagedDataset(path, "it is missing", advice="Import the data again") from None
    except (OSError, ValueError) as error:
        raise DamagedDataset(path, f"it cannot be read ({error})", advice="Import the data again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "recsys-desktop dataset":
        raise DamagedDataset(path, "it is not the manifest of a data set")
    if manifest.get("version", 0) > FORMAT_VERSION:
        raise DamagedDataset(path, "it was written by a newer version", advice="Update RecSys Desktop")
    needed = {"fingerprint", "name", "interactions", "users", "items", "columns", "event_names", "rating_scale"}
    missing = (needed | {"provenance", "user_features", "item_features"}) - manifest.keys()
    if missing:
        raise DamagedDataset(path, f"it lacks {', '.join(sorted(missing))}", advice="Import the data again")
    return manifest


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(path)
    except FileNotFoundError:
        raise DamagedDataset(path, "it is missing", advice="Import the data again") from None
    except (OSError, pa.ArrowException) as error:
        raise DamagedDataset(path, f"it is damaged or cut short ({error})", advice="Import the data again") from None


def _numbers(table: pa.Table, name: str) -> npt.NDArray[Any]:
    if name not in table.column_names:
        raise DamagedDataset(INTERACTIONS, f"it lacks the column '{name}'", advice="Import the data again")
    return np.asarray(table.column(name).to_numpy())


def _objects(table: pa.Table, name: str) -> npt.NDArray[np.object_]:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), dtype=object)


def _features(table: pa.Table, described: list[Mapping[str, Any]]) -> FeatureTable:
    columns: dict[str, Column] = {}
    for position, entry in enumerate(described):
        role = Role(entry["role"])
        array = table.column(str(position)).combine_chunks()
        if entry["type"] == "text":
            columns[entry["name"]] = TextColumn(_objects(table, str(position)), role)
        elif entry["type"] == "category":
            columns[entry["name"]] = CategoryColumn(array.to_numpy(), tuple(entry["categories"]), role)
        elif entry["type"] == "tags":
            columns[entry["name"]] = _tags(array, tuple(entry["categories"]), role)
        else:
            columns[entry["name"]] = NumericColumn(array.to_numpy(), entry["unit"], role)
    return FeatureTable(table.num_rows, columns)


def _tags(array: Any, categories: tuple[str, ...], role: Role) -> TagsColumn:
    import pyarrow.compute as pc

    lengths = pc.list_value_length(array).to_numpy().astype(np.int64)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return TagsColumn(indptr, array.flatten().to_numpy().astype(np.int32), categories, role)
