"""Folders that appear whole or not at all: temporary name, checksums, flush, rename; and the same in reverse.

An artifact is a folder of files with a ``checksums.json`` that names each file's size and BLAKE2b digest. While it is
being written it lies beside its final place under a name that starts with ``.partial-``; while it is being removed,
under one that starts with ``.deleting-``. Whoever holds the workspace's lock may sweep such names at opening, because
nobody else can be making one.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys_desktop.workspace.durable import flush_folder, rename
from recsys_desktop.workspace.errors import ArtifactDamaged, InvalidName

logger = logging.getLogger(__name__)

CHECKSUMS_FILE = "checksums.json"
CHECKSUMS_FORMAT = 1
PARTIAL_PREFIX = ".partial-"
DELETING_PREFIX = ".deleting-"
ASIDE_PREFIX = ".unlisted-"

_DIGEST_BYTES = 32
_BLOCK_BYTES = 1 << 20
_FOLDER_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class FileChecksum:
    """Size in bytes and hexadecimal BLAKE2b-256 digest of one file."""

    size: int
    blake2b: str


def check_folder_name(name: str) -> str:
    """``name`` itself, if it can name a folder on every platform; else ``InvalidName``."""
    if not _FOLDER_NAME.fullmatch(name):
        raise InvalidName(f"{name!r} cannot name a folder: use letters, digits, '-' and '_', at most 128 of them.")
    return name


def new_digest() -> "hashlib.blake2b":
    """An empty digest of the kind that checksums use."""
    return hashlib.blake2b(digest_size=_DIGEST_BYTES)


def create_partial(parent: Path, name: str) -> Path:
    """Make the empty temporary folder in which an artifact called ``name`` is written."""
    folder = parent / f"{PARTIAL_PREFIX}{name}-{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def seal(folder: Path) -> int:
    """Write ``checksums.json`` over all files of ``folder`` and flush every file and folder to the disk.

    Returns the total size in bytes, checksums included. Raises ``ValueError`` for links and other things that are
    not plain files, which a checksum would not protect.
    """
    checksums: dict[str, FileChecksum] = {}
    for path in _files(folder):
        if path.name == CHECKSUMS_FILE and path.parent == folder:
            raise ValueError(f"{path}: this name belongs to the workspace")
        checksums[path.relative_to(folder).as_posix()] = _flush_and_digest(path)
    listing = folder / CHECKSUMS_FILE
    write_checksums(listing, checksums)
    size = sum(checksum.size for checksum in checksums.values()) + _flush_and_digest(listing).size
    for subfolder, _, _ in os.walk(folder, topdown=False):
        flush_folder(Path(subfolder))
    return size


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path}: an artifact holds plain files and folders only")
        if path.is_file():
            yield path


def _flush_and_digest(path: Path) -> FileChecksum:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        digest = new_digest()
        size = 0
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return FileChecksum(size, digest.hexdigest())


def checksums_as_json(checksums: Mapping[str, FileChecksum]) -> dict[str, object]:
    """The JSON form of a table of checksums by relative POSIX path."""
    files = {name: {"size": checksum.size, "blake2b": checksum.blake2b} for name, checksum in checksums.items()}
    return {"format": CHECKSUMS_FORMAT, "files": files}


def checksums_from_json(content: object) -> dict[str, FileChecksum]:
    """The inverse of ``checksums_as_json``; ``ValueError`` where ``content`` is not of that form."""
    if not isinstance(content, dict) or content.get("format") != CHECKSUMS_FORMAT:
        raise ValueError("it is not a table of checksums that this version knows")
    files = content.get("files")
    if not isinstance(files, dict):
        raise ValueError("it lists no files")
    checksums: dict[str, FileChecksum] = {}
    for name, entry in files.items():
        size, digest = (entry.get("size"), entry.get("blake2b")) if isinstance(entry, dict) else (None, None)
        if not isinstance(size, int) or not isinstance(digest, str):
            raise ValueError(f"the entry of {name} has no size or digest")
        checksums[name] = FileChecksum(size, digest)
    return checksums


def write_checksums(listing: Path, checksums: Mapping[str, FileChecksum]) -> None:
    """Write a table of checksums to the file ``listing``."""
    listing.write_text(json.dumps(checksums_as_json(checksums), indent=1, ensure_ascii=False), encoding="utf-8")


def read_checksums(folder: Path) -> dict[str, FileChecksum]:
    """The checksums of an artifact; ``ArtifactDamaged`` where the table is missing or unreadable."""
    listing = folder / CHECKSUMS_FILE
    try:
        return checksums_from_json(json.loads(listing.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ArtifactDamaged(listing, "it is missing") from None
    except (OSError, ValueError) as error:
        raise ArtifactDamaged(listing, f"it cannot be read ({error})") from error


def is_complete(folder: Path) -> bool:
    """Whether the folder was sealed (a cheap look, not a verification)."""
    return (folder / CHECKSUMS_FILE).is_file()


def verify(folder: Path, *, contents: bool = True) -> None:
    """Check every file of an artifact against its checksum; ``contents=False`` compares sizes only.

    Raises ``ArtifactDamaged``, which names the first file that is missing, cut short or altered.
    """
    for name, expected in read_checksums(folder).items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != expected.size:
                raise ArtifactDamaged(path, f"it has {size:,} bytes instead of {expected.size:,}")
            if contents and digest_of(path) != expected.blake2b:
                raise ArtifactDamaged(path, "its contents are not what was written")
        except FileNotFoundError:
            raise ArtifactDamaged(path, "it is missing") from None
        except OSError as error:
            raise ArtifactDamaged(path, f"it cannot be read ({error.strerror or error})") from error


def digest_of(path: Path) -> str:
    """The hexadecimal BLAKE2b-256 digest of a file."""
    digest = new_digest()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def discard(folder: Path) -> bool:
    """Remove an artifact so that it is never seen half-removed; False where something of it could not be removed yet.

    The folder first gets a ``.deleting-`` name. On Windows a file that somebody has open keeps it where it is; the
    next opening for writing tries again.
    """
    if not folder.exists():
        return True
    doomed = folder
    if not folder.name.startswith((PARTIAL_PREFIX, DELETING_PREFIX)):
        doomed = folder.with_name(f"{DELETING_PREFIX}{folder.name}-{secrets.token_hex(4)}")
        try:
            rename(folder, doomed)
        except OSError as error:
            logger.warning("%s could not be removed yet: %s", folder, error)
            return False
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        logger.warning("%s could not be removed yet: %s", doomed, error)
        return False
    return True


def set_aside(folder: Path) -> Path:
    """Give a folder that no record knows another name, so that its place is free; returns the new path."""
    aside = folder.with_name(f"{ASIDE_PREFIX}{folder.name}-{secrets.token_hex(4)}")
    rename(folder, aside)
    logger.warning("%s was known to no record and is now %s", folder, aside)
    return aside


def leftovers(parent: Path) -> list[Path]:
    """Folders directly in ``parent`` that were being written or removed when their process ended."""
    return sorted(path for path in parent.iterdir() if path.name.startswith((PARTIAL_PREFIX, DELETING_PREFIX)))
