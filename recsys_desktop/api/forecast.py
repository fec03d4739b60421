"""Forecast: what a fit will need, said before anything is allocated."""

from __future__ import annotations

from typing import NamedTuple


class Forecast(NamedTuple):
    """Memory and time of one fit.

    memory_bytes: peak above the start of `fit`; at least the measured peak, at most twice it.
    seconds: wall time on one core of a current laptop, an order of magnitude.
    cheaper: id of an algorithm to use instead where this does not fit, or empty.
    note: what the figure rests on, in a few words, or empty.
    """

    memory_bytes: int
    seconds: float
    cheaper: str = ""
    note: str = ""
