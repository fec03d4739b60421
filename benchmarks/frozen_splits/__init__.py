"""MovieLens small with its frozen splits: the data behind accuracy tests and tuning.

`<split>.npy` holds one uint8 for each row of sample_data/movielens_small/ratings.csv, in file order: 0 train,
1 validation, 2 test. `split-random` divides each user's ratings 80/10/10 at random; `split-last` sets each user's last
rating aside for test and the one before for validation. `hashes.json` holds the SHA-256 of the ratings file and of each
array.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_desktop.api import (
    Column,
    Dataset,
    FeatureTable,
    InvalidData,
    RatingScale,
    Role,
    Split,
    TagsColumn,
    TextColumn,
    Vocabulary,
)

FOLDER = Path(__file__).parent
MOVIELENS = FOLDER.parents[1] / "sample_data" / "movielens_small"
Name = Literal["random", "last"]


@cache
def movielens_small() -> Dataset:
    """The sample as a Dataset: interactions in file order, items in the order of movies.csv, users by first appearance.

    Item features: title, genres, and tags (from tags.csv, lower case, each once an item).

    Raises
    ------
    InvalidData: ratings.csv is not the file that the frozen splits were made for.
    """
    content = (MOVIELENS / "ratings.csv").read_bytes().replace(b"\r\n", b"\n")
    if hashlib.sha256(content).hexdigest() != _hashes()["ratings_sha256"]:
        raise InvalidData(f"{MOVIELENS / 'ratings.csv'} is not the file that the frozen splits were made for")
    ratings = pd.read_csv(MOVIELENS / "ratings.csv", dtype={"userId": str, "movieId": str})
    movies = pd.read_csv(MOVIELENS / "movies.csv", dtype=str, keep_default_na=False)
    tags = pd.read_csv(MOVIELENS / "tags.csv", dtype=str, keep_default_na=False)
    users, items = Vocabulary(ratings["userId"].unique().tolist()), Vocabulary(movies["movieId"].tolist())
    genres = [[] if text == "(no genres listed)" else text.split("|") for text in movies["genres"]]
    tagged: list[list[str]] = [[] for _ in items]
    for movie, tag in zip(items.codes(tags["movieId"]), tags["tag"].str.strip().str.lower(), strict=True):
        if movie >= 0 and tag not in tagged[movie]:
            tagged[movie].append(tag)
    columns: dict[str, Column] = {
        "title": TextColumn(movies["title"].to_numpy(dtype=object), Role.TITLE),
        "genres": _tags_column(genres),
        "tags": _tags_column(tagged),
    }
    return Dataset(
        users,
        items,
        users.codes(ratings["userId"]),
        items.codes(ratings["movieId"]),
        ratings["rating"].to_numpy(np.float32),
        timestamps=ratings["timestamp"].to_numpy(np.int64),
        item_features=FeatureTable(len(items), columns),
        rating_scale=RatingScale(0.5, 5.0, 0.5),
        name="MovieLens small",
    )


def frozen_split(name: Name) -> Split:
    """One of the frozen splits of MovieLens small, all parts in one vocabulary.

    Raises
    ------
    InvalidData: a file is not what its hash says.
    """
    data = movielens_small()
    part = _assignment(name)
    return Split(data.subset(part == 0), data.subset(part == 1), data.subset(part == 2))


def development_split(name: Name) -> Split:
    """Train and validation part alone, for choosing parameters: train on the first, score the second."""
    data = movielens_small()
    part = _assignment(name)
    return Split(data.subset(part == 0), None, data.subset(part == 1))


def final_split(name: Name) -> Split:
    """Train and validation part together against the test part, for figures that are published."""
    data = movielens_small()
    part = _assignment(name)
    return Split(data.subset(part < 2), None, data.subset(part == 2))


def _hashes() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "hashes.json").read_text(encoding="utf-8"))
    return found


def _assignment(name: Name) -> npt.NDArray[np.uint8]:
    array: npt.NDArray[np.uint8] = np.load(FOLDER / f"split-{name}.npy", allow_pickle=False)
    if hashlib.sha256(array.tobytes()).hexdigest() != _hashes()["assignments_sha256"][f"split-{name}"]:
        raise InvalidData(f"{FOLDER / f'split-{name}.npy'} is not the frozen split")
    return array


def _tags_column(rows: list[list[str]]) -> TagsColumn:
    categories = tuple(sorted({tag for row in rows for tag in row}))
    codes = {tag: code for code, tag in enumerate(categories)}
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    indices = np.array([codes[tag] for row in rows for tag in row], dtype=np.int32)
    return TagsColumn(indptr, indices, categories)
