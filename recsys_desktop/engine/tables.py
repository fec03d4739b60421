"""Small CSV files that requests come with: pairs to predict, and a person's history."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from recsys_desktop.engine.errors import Misuse
from recsys_desktop.engine.requests import HistoryEntry


def number(text: str) -> float:
    """The number that a cell holds, NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_pairs(path: Path) -> tuple[list[str], list[str], list[str]]:
    """The user, item and (where there is one) rating columns of a CSV file with a header, as text.

    Raises
    ------
    Misuse: the file cannot be read, or a column is missing; names the line where a row is short.
    """
    users: list[str] = []
    items: list[str] = []
    ratings: list[str] = []
    for line, row in _rows(path, ("user", "item")):
        if not row["user"] or not row["item"]:
            raise Misuse(f"{path}, line {line}: user or item is missing")
        users.append(row["user"])
        items.append(row["item"])
        ratings.append(row.get("rating", ""))
    return users, items, ratings


def read_history(path: Path) -> list[HistoryEntry]:
    """A person's history from a CSV file with the columns item[,rating][,timestamp].

    Raises
    ------
    Misuse: as `read_pairs`, or a rating or timestamp is not a number.
    """
    entries: list[HistoryEntry] = []
    for line, row in _rows(path, ("item",)):
        if not row["item"]:
            raise Misuse(f"{path}, line {line}: item is missing")
        rating, moment = row.get("rating", ""), row.get("timestamp", "")
        for column, text in (("rating", rating), ("timestamp", moment)):
            if text and not math.isfinite(number(text)):
                raise Misuse(f"{path}, line {line}, column {column}: '{text}' is not a number")
        entries.append((row["item"], float(rating) if rating else None, int(float(moment)) if moment else None))
    return entries


_SYNONYMS = {
    "user": ("user", "user_id", "userid"),
    "item": ("item", "item_id", "itemid", "movieid", "movie_id"),
    "rating": ("rating", "score"),
    "timestamp": ("timestamp", "time"),
}


def _rows(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, column -> stripped text) of each row of a CSV file, under our names for the columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Misuse(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} cannot be read as UTF-8 text ({error})") from error
    reader = csv.reader(text.splitlines())
    header = [name.strip().casefold() for name in next(reader, [])]
    places = {
        ours: next((header.index(name) for name in names if name in header), None) for ours, names in _SYNONYMS.items()
    }
    missing = [name for name in required if places[name] is None]
    if missing:
        found = ", ".join(header) or "nothing"
        raise Misuse(f"{path}, line 1: no column '{missing[0]}' (found: {found}); needed: {', '.join(required)}")
    for row in reader:
        if row:
            yield (
                reader.line_num,
                {ours: row[place].strip() for ours, place in places.items() if place is not None and place < len(row)}
                | {name: "" for name in required if (place := places[name]) is not None and place >= len(row)},
            )
