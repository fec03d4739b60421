"""Words of texts: tokens, and counts of terms over many rows."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+(?:'\w+)?")


def tokens(text: str) -> list[str]:
    """The words of a text in order, in lower case and Unicode normal form KC; single letters are left out."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    return [word for word in _WORD.findall(normal) if len(word) > 1 or not word.isascii()]


class TermCounts(NamedTuple):
    """How often each term occurs in each row: parallel arrays, rows ascending, each pair once.

    terms: the terms in code order. rows: int64 (m,). codes: int32 (m,), into `terms`. counts: float32 (m,).
    """

    terms: list[str]
    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]
    counts: npt.NDArray[np.float32]

    def in_rows(self) -> npt.NDArray[np.int64]:
        """int64 (len(terms),): in how many rows each term occurs."""
        return np.bincount(self.codes, minlength=len(self.terms)).astype(np.int64)

    def restricted(self, least_rows: int, most_terms: int) -> TermCounts:
        """Only terms in at least so many rows, and of these the `most_terms` that are in most (ties: earlier ones)."""
        in_rows = self.in_rows()
        chosen = np.flatnonzero(in_rows >= least_rows)
        if len(chosen) > most_terms:
            chosen = np.sort(chosen[np.argsort(-in_rows[chosen], kind="stable")[:most_terms]])
        places = np.full(len(self.terms), -1, dtype=np.int32)
        places[chosen] = np.arange(len(chosen), dtype=np.int32)
        moved = places[self.codes]
        kept = moved >= 0
        terms = [self.terms[code] for code in chosen.tolist()]
        return TermCounts(terms, self.rows[kept], moved[kept], self.counts[kept])


def count_terms(rows: Iterable[Sequence[str]], known: Sequence[str] | None = None) -> TermCounts:
    """Count the terms of each row.

    known: count these terms only, with these codes; by default every term gets a code where it first occurs.
    """
    lookup: dict[str, int] = {} if known is None else {term: code for code, term in enumerate(known)}
    places, codes = array("q"), array("i")
    for row, terms in enumerate(rows):
        for term in terms:
            code = lookup.setdefault(term, len(lookup)) if known is None else lookup.get(term, -1)
            if code >= 0:
                places.append(row)
                codes.append(code)
    names = list(lookup) if known is None else list(known)
    return _summed(names, np.frombuffer(places, dtype=np.int64), np.frombuffer(codes, dtype=np.int32))


def _summed(terms: list[str], rows: npt.NDArray[Any], codes: npt.NDArray[Any]) -> TermCounts:
    """Equal (row, code) pairs counted together."""
    pairs, counts = np.unique(rows * max(len(terms), 1) + codes, return_counts=True)
    width = max(len(terms), 1)
    return TermCounts(terms, pairs // width, (pairs % width).astype(np.int32), counts.astype(np.float32))
