"""The person a list is for: a user of the data, somebody built on screen, or a user with changes. No Qt in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys_desktop.engine import HistoryEntry, HistoryItem


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the person did: an item with its title, the rating (None where nothing was rated), and the time."""

    item: str
    title: str
    rating: float | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class PersonOnScreen:
    """``user`` is None for somebody built on screen; ``changed`` says that the history is not that of the data."""

    user: str | None
    history: tuple[Entry, ...] = ()
    changed: bool = False

    @classmethod
    def of_data(cls, user: str, history: Sequence[HistoryItem]) -> PersonOnScreen:
        """A user with the history that the data has, latest first."""
        return cls(user, tuple(Entry(item.item, item.title, item.rating, item.timestamp) for item in history))

    @property
    def is_new(self) -> bool:
        """Whether the person was built on screen."""
        return self.user is None

    @property
    def name(self) -> str:
        """What the chip says."""
        return "new" if self.user is None else self.user

    def with_item(self, item: str, title: str, rating: float | None) -> PersonOnScreen:
        """The person after rating, or choosing, an item; what was said of it before is replaced."""
        kept = tuple(entry for entry in self.history if entry.item != item)
        return replace(self, history=(Entry(item, title, rating), *kept), changed=True)

    def without_item(self, item: str) -> PersonOnScreen:
        """The person without one entry of the history."""
        kept = tuple(entry for entry in self.history if entry.item != item)
        return replace(self, history=kept, changed=True)

    def request_history(self) -> list[HistoryEntry] | None:
        """The history as a request takes it, oldest first; None where the data's own is meant."""
        if not self.changed and self.user is not None:
            return None
        return [(entry.item, entry.rating, entry.timestamp) for entry in reversed(self.history)]

    def by_rating(self) -> tuple[Entry, ...]:
        """The history with the highest ratings first, latest first among equals."""
        return tuple(sorted(self.history, key=lambda entry: -(entry.rating if entry.rating is not None else 0.0)))


def names_in(values: object) -> list[str]:
    """Return every text inside the values of a phrase; those that occur in its sentence are set in bold."""
    if isinstance(values, str):
        return [values]
    if isinstance(values, Mapping):
        return [name for value in values.values() for name in names_in(value)]
    if isinstance(values, list | tuple):
        return [name for value in values for name in names_in(value)]
    return []
