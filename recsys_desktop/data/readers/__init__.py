"""File formats: one module each, with its ReaderSpec; and which of them reads a file."""

from __future__ import annotations
