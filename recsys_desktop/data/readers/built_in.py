"""The readers that come with the application, the most particular first."""

from __future__ import annotations

from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.data.readers import delimited

BUILT_IN_READERS: tuple[ReaderSpec, ...] = (delimited.READER,)
