"""Vocabulary: external ids (text) in code order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.errors import InvalidData

IntArray = npt.NDArray[np.int32]


class Vocabulary:
    """Distinct external ids; the position of an id is its code.

    Ids are text and keep their characters: `"007"` and `"7"` are two ids. A vocabulary never changes; `extended`
    makes a longer one in which every existing code keeps its meaning.

    Parameters
    ----------
    ids: the ids in code order, distinct and non-empty.

    Raises
    ------
    InvalidData: an id is not text, empty, or occurs twice.
    """

    __slots__ = ("__dict__", "ids")

    ids: npt.NDArray[np.object_]

    def __init__(self, ids: Iterable[str] = ()) -> None:
        values = ids if isinstance(ids, np.ndarray) else list(ids)
        self.ids = np.empty(len(values), dtype=object)
        self.ids[:] = values
        self.ids.setflags(write=False)
        for value in self.ids:
            if not isinstance(value, str) or not value:
                raise InvalidData(f"ids are non-empty text, not {value!r}")
        if len(self._codes) != len(self.ids):
            raise InvalidData("an id occurs twice in the vocabulary")

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {value: code for code, value in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids.tolist())

    def __getitem__(self, code: int) -> str:
        return str(self.ids[code])

    def __contains__(self, value: object) -> bool:
        return value in self._codes

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Vocabulary) and len(self) == len(other) and bool(np.array_equal(self.ids, other.ids))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    def code(self, value: str) -> int:
        """The code of one id, or -1 where the id is unknown."""
        return self._codes.get(value, -1)

    def codes(self, values: Iterable[str]) -> IntArray:
        """The codes of ids: int32 (n,), -1 where an id is unknown."""
        lookup = self._codes
        return np.fromiter((lookup.get(value, -1) for value in values), dtype=np.int32)

    def extended(self, values: Iterable[str]) -> Vocabulary:
        """A vocabulary that begins with this one and adds the unknown ones among `values`, in their order."""
        added = dict.fromkeys(value for value in values if value not in self._codes)
        if not added:
            return self
        return Vocabulary([*self.ids.tolist(), *added])

    def mapping_to(self, other: Vocabulary) -> IntArray:
        """For each code here its code in `other`: int32 (len(self),), -1 where `other` lacks the id."""
        if self == other:
            return np.arange(len(self), dtype=np.int32)
        return other.codes(self.ids)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal blake2b of the ids in code order."""
        state: Any = hashlib.blake2b(digest_size=16)
        for start in range(0, len(self.ids), 65536):
            block = self.ids[start : start + 65536]
            state.update("".join(f"{len(value)}:{value}" for value in block).encode("utf-8", "surrogatepass"))
        return str(state.hexdigest())
