"""Checkpoints of a torch training: a safetensors file with a JSON manifest in its header, either whole or absent."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

logger = logging.getLogger(__name__)

FORMAT = 1
INTERVAL_SECONDS = 10.0
"""The least time between two checkpoints of one training."""
LARGEST_SHARE = 0.05
"""The largest share of the time that may go into writing checkpoints."""

_MANIFEST = "manifest"
_NAMES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_BLOCK_BYTES = 1 << 22


class CheckpointFile:
    """Where one training keeps its checkpoint, and whose it is.

    identity: what a checkpoint must have been written with, as JSON values; any other is refused. A checkpoint is
    written to a temporary name, flushed, then renamed; where the disk refuses, training goes on without.
    """

    def __init__(self, folder: Path, stage: str, identity: Mapping[str, Any]) -> None:
        self.path = folder / f"{stage}.safetensors"
        self.exists = False
        self._identity = json.loads(json.dumps(identity))
        self._began = self._written = time.monotonic()
        self._pause = INTERVAL_SECONDS
        self._refused = False

    def due(self, finished: bool) -> bool:
        """Whether to write now. One that says "finished" is written for every training that was worth a checkpoint."""
        now = time.monotonic()
        if finished:
            return self.exists or now - self._began >= INTERVAL_SECONDS
        return now - self._written >= self._pause

    def write(self, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        """Replace the checkpoint. state: JSON values."""
        start = time.monotonic()
        manifest = json.dumps({"format": FORMAT, "identity": self._identity, "state": state})
        partial = self.path.with_suffix(".partial")
        try:
            _write_safetensors(partial, tensors, {_MANIFEST: manifest})
            partial.replace(self.path)
            _flush_folder(self.path.parent)
        except OSError as error:
            if not self._refused:
                logger.warning("%s cannot be written (%s): this training may not be resumable", self.path, error)
            self._refused = True
            partial.unlink(missing_ok=True)
        else:
            self.exists = True
        self._written = time.monotonic()
        self._pause = max(INTERVAL_SECONDS, (self._written - start) / LARGEST_SHARE)

    def read(self, device: torch.device) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Tensors, on `device`, and state; None where there is none, or it is damaged or another training's."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt", device="cpu") as file:
                manifest = json.loads(file.metadata()[_MANIFEST])
                if manifest["format"] != FORMAT or manifest["identity"] != self._identity:
                    logger.warning("%s belongs to another training and is not used: training starts anew", self.path)
                    return None
                # Copies, so that every tensor lies as the allocator would have it and no file is mapped.
                tensors = {name: file.get_tensor(name).to(device, copy=True) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s is damaged (%s) and is not used: training starts anew", self.path, error)
            return None
        self.exists = True
        return tensors, manifest["state"]


def digest(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """A digest of names, shapes, types and contents."""
    found = hashlib.blake2b(digest_size=16)
    for name, tensor in tensors:
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(_bytes_of(tensor))
    return found.hexdigest()


def _write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write and flush the safetensors format, tensor after tensor.

    The library's own writer copies all of them first, which would add their size to the memory of a training, and
    holds the interpreter meanwhile.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in tensors.values():
            content = _bytes_of(tensor)
            for begin in range(0, len(content), _BLOCK_BYTES):
                file.write(content[begin : begin + _BLOCK_BYTES])
        file.flush()
        os.fsync(file.fileno())


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    flat: Any = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return memoryview(flat)


def _flush_folder(folder: Path) -> None:
    """Put a folder's entries on the disk (Windows has no such request)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
