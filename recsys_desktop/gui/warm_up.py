"""Bring the large libraries into memory while the person is still choosing, without stopping the window.

Importing torch takes two to three seconds, and loading its shared libraries holds the interpreter for almost half a
second of that at a stretch. Loaded through ctypes first, they do not hold it, and the import finds them there.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys_desktop.engine import Registry

logger = logging.getLogger(__name__)

_USE_CASES = ("training", "evaluating", "recommending", "explaining")
_TORCH_LIBRARIES = ("libc10", "libtorch_cpu", "libtorch", "libtorch_python")


def load_torch_libraries() -> list[Path]:
    """Load torch's shared libraries without holding the interpreter; returns those that were loaded.

    On Windows torch is imported before Qt and has nothing left to load. What fails here fails again, with its reason,
    when torch is imported.
    """
    if sys.platform == "win32" or "torch" in sys.modules:
        return []
    specification = importlib.util.find_spec("torch")
    if specification is None or specification.origin is None:
        return []
    folder = Path(specification.origin).parent / "lib"
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    # CDLL itself opens a library with the interpreter held; a function called through it lets go.
    open_library = ctypes.CDLL(None).dlopen
    open_library.restype = ctypes.c_void_p
    open_library.argtypes = [ctypes.c_char_p, ctypes.c_int]
    loaded = []
    for name in _TORCH_LIBRARIES:
        path = folder / f"{name}{suffix}"
        if path.is_file() and open_library(str(path).encode(), sys.getdlopenflags() | ctypes.RTLD_GLOBAL):
            loaded.append(path)
    return loaded


def load_algorithms(registry: Registry, should_stop: Callable[[], bool]) -> None:
    """Import the use cases and every algorithm, and with them the libraries they stand on, one after the other.

    One that cannot be imported is left for the moment when it is used, which says why.
    """
    for name in _USE_CASES:
        importlib.import_module(f"recsys_desktop.engine.{name}")
    load_torch_libraries()
    for spec in registry.algorithms.values():
        if should_stop():
            return
        try:
            spec.load()
        except Exception:
            logger.info("'%s' cannot be prepared", spec.id, exc_info=True)


def device_name(chosen: str = "auto") -> str:
    """Name the device that torch would use, once it is loaded: ``CPU``, ``GPU`` or ``Apple GPU``."""
    torch = sys.modules.get("torch")
    if torch is None or chosen == "cpu":
        return "CPU"
    if chosen in ("auto", "cuda") and torch.cuda.is_available():
        return "GPU"
    return "Apple GPU" if chosen in ("auto", "mps") and torch.backends.mps.is_available() else "CPU"
