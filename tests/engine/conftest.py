"""A small data set with a known structure, and an engine whose workspace holds it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recsys_desktop.engine import Engine, ImportRequest
from tests.engine import toys

USERS, ITEMS, GROUPS = 60, 24, 3


def write_toy_files(folder: Path) -> tuple[Path, Path]:
    """Ratings and items: user u is of group u % 3 and chooses mostly items of that group. Ids keep leading zeros."""
    generator = np.random.default_rng(7)
    ratings, items = folder / "ratings.csv", folder / "items.csv"
    with ratings.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "timestamp"])
        for user in range(USERS):
            own = [item for item in range(ITEMS) if item % GROUPS == user % GROUPS]
            other = [item for item in range(ITEMS) if item % GROUPS != user % GROUPS]
            chosen = [*generator.choice(own, 6, replace=False), *generator.choice(other, 2, replace=False)]
            for position, item in enumerate(chosen):
                rating = 4 + generator.integers(0, 2) if item % GROUPS == user % GROUPS else generator.integers(1, 4)
                writer.writerow([f"0{user}", f"00{item}", int(rating), 1_000_000 + 86_400 * user + position])
    with items.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "title", "genres", "year"])
        for item in range(ITEMS):
            writer.writerow([f"00{item}", f"Title {item}", f"Group{item % GROUPS}|All", 1990 + item])
    return ratings, items


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """ratings.csv and items.csv."""
    return write_toy_files(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def engine(tmp_path: Path, toy_files: tuple[Path, Path]) -> Iterator[Engine]:
    """An engine with the toy algorithms, over a workspace that holds the toy data as "toy"."""
    ratings, items = toy_files
    with Engine.open(tmp_path / "workspace", plugins={"toys": toys}, threads=1) as opened:
        opened.import_data(ImportRequest([ratings], "toy", [items]))
        yield opened
