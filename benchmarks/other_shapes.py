"""Defaults on data of other shapes: does any fall below popularity, or below the bias model?

    python benchmarks/other_shapes.py [ease item-knn svd ...] [--markdown]

Data are made with tastes, popularity and generosity in them: a sparse catalogue, many people, few people, a ten-point
scale, half stars, and implicit feedback; and two more in which people choose by popularity alone, so that nothing can
be learnt beyond it. A fifth of everybody's interactions is the test part. Rankers are told by
NDCG@10 over the whole catalogue, rating models by RMSE; `popularity` and `bias` always come first.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.headless_run import fit, installed_algorithms
from recsys_desktop.api import AlgorithmSpec, Dataset, DataShape, Query, RatingScale
from recsys_desktop.api.testing import made_data
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse

_TASTES = 4
_KEPT_ABOVE = 0.7


class Shape(NamedTuple):
    """Sizes before about two thirds of the interactions are dropped for not being to somebody's taste (if any has)."""

    n_users: int
    n_items: int
    n_interactions: int
    scale: RatingScale | None
    has_tastes: bool = True


SHAPES = {
    "sparse catalogue": Shape(800, 4000, 24_000, RatingScale(1, 5, 1)),
    "many people": Shape(6000, 300, 180_000, RatingScale(1, 5, 1)),
    "few people": Shape(40, 1500, 18_000, RatingScale(0.5, 5, 0.5)),
    "ten points": Shape(500, 400, 75_000, RatingScale(1, 10, 1)),
    "half stars": Shape(600, 600, 90_000, RatingScale(0.5, 5, 0.5)),
    "implicit": Shape(700, 700, 75_000, None),
    "popularity alone": Shape(1000, 300, 15_000, None, has_tastes=False),
    "60 people": Shape(60, 40, 900, None, has_tastes=False),
}
STANDARDS = ("popularity", "bias")


def made(shape: Shape, seed: int = 0) -> Dataset:
    """Interactions that happen the more, and are rated the higher, the better tastes agree."""
    generator = np.random.default_rng(seed)
    met = made_data.of_shape(DataShape(shape.n_users, shape.n_items, shape.n_interactions), False, seed)
    of_users, of_items = (generator.standard_normal((size, _TASTES)) for size in (shape.n_users, shape.n_items))
    generosity, quality = (0.5 * generator.standard_normal(size) for size in (shape.n_users, shape.n_items))
    if not shape.has_tastes:
        return met
    agreement = np.einsum("nf,nf->n", of_users[met.users], of_items[met.items]) / np.sqrt(_TASTES)
    chosen = np.flatnonzero(generator.random(len(met)) < 1 / (1 + np.exp(-3 * (agreement - _KEPT_ABOVE))))
    data = met.subset(chosen)
    if shape.scale is None:
        return replace(data, ratings=None, rating_scale=None)
    low, high, step = shape.scale
    opinion = agreement[chosen] + generosity[data.users] + quality[data.items]
    opinion += 0.5 * generator.standard_normal(len(chosen))
    ratings = shape.scale.middle + (high - low) / 6 * opinion
    ratings = np.clip(np.round(ratings / step) * step, low, high).astype(np.float32)
    return replace(data, ratings=ratings, rating_scale=shape.scale)


def figure(spec: AlgorithmSpec, train: Dataset, test: Dataset) -> float:
    """NDCG@10, or RMSE for what predicts ratings."""
    model = fit(spec, {}, train, threads=1)
    if spec.capabilities.predicts_ratings:
        everyone = Query.of_users(train, np.arange(train.n_users))
        predictions = model.predict_pairs(everyone, test.users, test.items)
        assert train.ratings is not None
        assert test.ratings is not None
        predictions[np.isnan(predictions)] = train.ratings.mean()
        return float(rmse(predictions, test.ratings))
    ranked, _ = rank_test_users(model.score, train, test, 10, train.item_counts.astype(np.float32))
    return float(np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)))


def main() -> None:
    """Read the arguments, measure, print a table."""
    algorithms = installed_algorithms()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="*", default=["ease", "item-knn", "svd"], metavar="ALGORITHM")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.algorithms if name not in algorithms]:
        parser.error(f"unknown algorithm '{unknown[0]}'; installed: {', '.join(algorithms)}")
    chosen = list(dict.fromkeys((*STANDARDS, *arguments.algorithms)))
    parts = {name: made(shape).hold_out(0.2, np.random.default_rng(1)) for name, shape in SHAPES.items()}
    _print(["algorithm", *parts], arguments.markdown)
    if arguments.markdown:
        _print(["---"] * (1 + len(parts)), True)
    for name in chosen:
        cells = [name]
        for train, test in parts.values():
            possible = train.ratings is not None or not algorithms[name].needs.ratings
            cells.append(f"{figure(algorithms[name], train, test):.4f}" if possible else "")
        _print(cells, arguments.markdown)


def _print(cells: list[str], markdown: bool) -> None:
    print("| " + " | ".join(cells) + " |" if markdown else "  ".join(f"{cell:<16s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
