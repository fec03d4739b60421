"""What a column of a file or a table is for."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a column; the values are what files, flags and the window show."""

    USER = "user"
    ITEM = "item"
    RATING = "rating"
    TIMESTAMP = "timestamp"
    EVENT = "event"
    WEIGHT = "weight"
    TITLE = "title"
    TEXT = "text"
    CATEGORY = "category"
    TAGS = "tags"
    NUMERIC = "numeric"
    IGNORE = "ignore"


class Feedback(StrEnum):
    """How interactions speak: by a rating that the person gave, or by having happened at all."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
