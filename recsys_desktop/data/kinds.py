"""FileKind: what the rows of a file are."""

from __future__ import annotations

from enum import StrEnum


class FileKind(StrEnum):
    """What the rows of a file are."""

    INTERACTIONS = "interactions"
    ITEMS = "items"
    USERS = "users"
