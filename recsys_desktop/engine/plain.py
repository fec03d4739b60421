"""Plain values: every request and result of the engine as dictionaries, lists, text and numbers that JSON can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """`value` as JSON-able data: dataclasses and named tuples become dicts, arrays lists, paths text, NaN None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not isinstance(value, PlainData) and hasattr(value, "to_dict"):
            return plain(value.to_dict())
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.repr}
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.ndarray):
        return [plain(part) for part in value.tolist()]
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    raise TypeError(f"a {type(value).__name__} has no plain form")


class PlainData:
    """Mix-in for the engine's dataclasses: `to_dict` gives what JSON can hold. Fields with `repr=False` stay out."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        result: dict[str, Any] = plain(self)
        return result
