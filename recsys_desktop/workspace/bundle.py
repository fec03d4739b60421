"""One model as one file: a ``.recsys-model`` is an uncompressed zip of ``bundle.json`` and the model's files."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from recsys_desktop.workspace.artifacts import (
    CHECKSUMS_FILE,
    FileChecksum,
    checksums_as_json,
    checksums_from_json,
    new_digest,
    read_checksums,
)
from recsys_desktop.workspace.durable import flush_file, flush_folder
from recsys_desktop.workspace.errors import BundleInvalid, WorkspaceError, WorkspaceTooNew, storage_errors
from recsys_desktop.workspace.records import ModelRecord
from recsys_desktop.workspace.store import Workspace

BUNDLE_SUFFIX = ".recsys-model"
BUNDLE_FORMAT = 1

_DESCRIPTION = "bundle.json"
_FILES_PREFIX = "files/"
_LARGEST_DESCRIPTION_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_WINDOWS_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL"} | {f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)}
)


def export_model(workspace: Workspace, record: ModelRecord, target: Path) -> Path:
    """Write a model version to ``target`` (``.recsys-model`` is added to a name without an ending); returns its path.

    The model is verified first. An existing file is replaced, at the very end. Raises ``ArtifactDamaged``,
    ``WorkspaceFull``, ``WorkspaceReadOnly``.
    """
    if not target.suffix:
        target = target.with_name(target.name + BUNDLE_SUFFIX)
    if not target.parent.is_dir():
        raise WorkspaceError(f"There is no folder {target.parent} to export the model to; create it or choose another.")
    workspace.verify(record)
    folder = workspace.folder_of(record)
    checksums = read_checksums(folder)
    description = {
        "format": BUNDLE_FORMAT,
        "model": _model_as_json(record),
        "checksums": checksums_as_json(checksums),
    }
    partial = target.with_name(f".{target.name}.partial")
    with storage_errors(target):
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, strict_timestamps=False) as bundle:
                bundle.writestr(_DESCRIPTION, json.dumps(description, indent=1, ensure_ascii=False))
                for name in checksums:
                    bundle.write(folder / name, _FILES_PREFIX + name)
            flush_file(partial)
            partial.replace(target)
            flush_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)
    return target


def import_model(workspace: Workspace, source: Path, *, name: str | None = None) -> ModelRecord:
    """Add the model in ``source`` to the workspace as the next version of its name, or of ``name``.

    Every path, size and digest is checked before anything is listed; nothing is executed. Raises ``BundleInvalid``
    (damaged, cut short, not a bundle), ``WorkspaceTooNew`` (written by a later release), and what
    ``Workspace.publish_model`` raises.
    """
    try:
        bundle = zipfile.ZipFile(source)
    except OSError as error:
        raise BundleInvalid(source, error.strerror or str(error)) from error
    except zipfile.BadZipFile as error:
        raise BundleInvalid(source, f"it is damaged, cut short or another kind of file ({error})") from error
    try:
        with bundle:
            description = _read_description(bundle, source)
            checksums = _read_checksums(description, source)
            members = _check_members(bundle, checksums, source)
            model = _model_from_json(description.get("model"), source)
            original_name = model.pop("name")
            with workspace.publish_model(name or original_name, **model) as publication:
                for file_name, expected in checksums.items():
                    _extract(bundle, members[file_name], publication.folder / file_name, expected, source)
            return publication.record
    except zipfile.BadZipFile as error:
        raise BundleInvalid(source, f"it is damaged ({error})") from error


def _model_as_json(record: ModelRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "algorithm": record.algorithm,
        "params": dict(record.params),
        "seed": record.seed,
        "dataset_fingerprint": record.dataset_fingerprint,
        "metrics": dict(record.metrics),
        "fit_seconds": record.fit_seconds,
        "peak_memory_bytes": record.peak_memory_bytes,
        "note": record.note,
    }


_FIELD_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "algorithm": (str,),
    "params": (dict,),
    "seed": (int, type(None)),
    "dataset_fingerprint": (str, type(None)),
    "metrics": (dict,),
    "fit_seconds": (int, float, type(None)),
    "peak_memory_bytes": (int, type(None)),
    "note": (str,),
}


def _model_from_json(content: object, source: Path) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise BundleInvalid(source, "it does not describe a model")
    for field, types in _FIELD_TYPES.items():
        if field not in content or not isinstance(content[field], types):
            raise BundleInvalid(source, f'the "{field}" of the model is missing or of the wrong type')
    return {field: content[field] for field in _FIELD_TYPES}


def _read_description(bundle: zipfile.ZipFile, source: Path) -> dict[str, Any]:
    try:
        info = bundle.getinfo(_DESCRIPTION)
    except KeyError:
        raise BundleInvalid(source, f"it has no {_DESCRIPTION}; it is another kind of file") from None
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > _LARGEST_DESCRIPTION_BYTES:
        raise BundleInvalid(source, f"its {_DESCRIPTION} is compressed or too large")
    try:
        description = json.loads(bundle.read(info))
    except ValueError as error:
        raise BundleInvalid(source, f"its {_DESCRIPTION} cannot be read ({error})") from error
    version = description.get("format") if isinstance(description, dict) else None
    if not isinstance(version, int):
        raise BundleInvalid(source, f"its {_DESCRIPTION} does not say which format it has")
    if version > BUNDLE_FORMAT:
        raise WorkspaceTooNew(source, version, BUNDLE_FORMAT)
    return dict(description)


def _read_checksums(description: Mapping[str, Any], source: Path) -> dict[str, FileChecksum]:
    try:
        checksums = checksums_from_json(description.get("checksums"))
    except ValueError as error:
        raise BundleInvalid(source, f"of its checksums, {error}") from error
    for name in checksums:
        if not is_safe_path(name) or name == CHECKSUMS_FILE:
            raise BundleInvalid(source, f"it would write {name!r}, which is not a path inside the model")
    return checksums


def is_safe_path(name: str) -> bool:
    """Whether a name from a bundle stays inside the folder it is unpacked to, on every platform."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and not path.is_absolute()
        and path.as_posix() == name
        and not any(character in name for character in '\\:*?"<>|')
        and name.isprintable()
        and all(part == part.rstrip(". ") for part in path.parts)  # refuses ".." and what Windows would shorten
        and all(part.split(".")[0].upper() not in _WINDOWS_DEVICES for part in path.parts)
    )


def _check_members(
    bundle: zipfile.ZipFile, checksums: Mapping[str, FileChecksum], source: Path
) -> dict[str, zipfile.ZipInfo]:
    """The zip entry of every file; entries must be exactly the listed files, stored, of the listed size."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in bundle.infolist():
        if info.filename == _DESCRIPTION:
            continue
        name = info.filename.removeprefix(_FILES_PREFIX)
        if name == info.filename or name not in checksums or name in members:
            raise BundleInvalid(source, f"it holds {info.filename!r}, which it does not list")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            raise BundleInvalid(source, f"{name} is compressed or encrypted")
        if info.file_size != checksums[name].size:
            raise BundleInvalid(source, f"{name} has {info.file_size:,} bytes instead of {checksums[name].size:,}")
        members[name] = info
    absent = sorted(checksums.keys() - members.keys())
    if absent:
        raise BundleInvalid(source, f"{absent[0]} is missing from it")
    return members


def _extract(
    bundle: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, expected: FileChecksum, source: Path
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = new_digest()
    with bundle.open(member) as reader, target.open("xb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            digest.update(block)
            writer.write(block)
    if digest.hexdigest() != expected.blake2b:
        raise BundleInvalid(source, f"the contents of {member.filename} are not what was exported")
