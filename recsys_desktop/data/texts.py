"""Counted nouns, and sequences of text made when asked for, so that a million problems cost no million strings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 row", "2,000 rows". many: the plural, where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class LazyTexts(Sequence[str]):
    """Base of sequences that make a stretch of texts at a time."""

    @abstractmethod
    def stretch(self, begin: int, end: int) -> list[str]:
        """The texts from `begin` up to `end`, both within the sequence."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            return self.stretch(begin, max(begin, end))[::step] if step > 0 else list(self)[index]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self.stretch(place, place + 1)[0]


class ArrowTexts(LazyTexts):
    """The texts of Arrow arrays, one after the other; nulls are empty."""

    def __init__(self, arrays: Sequence[pa.Array]) -> None:
        import pyarrow as pa

        self._column = pa.chunked_array(arrays, pa.string())

    def __len__(self) -> int:
        return len(self._column)

    def stretch(self, begin: int, end: int) -> list[str]:
        """As `LazyTexts.stretch`."""
        return [text or "" for text in self._column.slice(begin, end - begin).to_pylist()]


class PairTexts(LazyTexts):
    """Texts "user, item" of rows given by their codes."""

    def __init__(
        self, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], user_ids: pa.Array, item_ids: pa.Array
    ) -> None:
        self._users, self._items, self._user_ids, self._item_ids = users, items, user_ids, item_ids

    def __len__(self) -> int:
        return len(self._users)

    def stretch(self, begin: int, end: int) -> list[str]:
        """As `LazyTexts.stretch`."""
        import pyarrow as pa

        users = self._user_ids.take(pa.array(self._users[begin:end])).to_pylist()
        items = self._item_ids.take(pa.array(self._items[begin:end])).to_pylist()
        return [f"{user}, {item}" for user, item in zip(users, items, strict=True)]
