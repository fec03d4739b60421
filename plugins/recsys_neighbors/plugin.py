"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, TuningRange, hookimpl, param


class ItemKnnParams(Params):
    """Parameters of item-based collaborative filtering for ranking."""

    neighbours: int = param(
        200,
        help="How many of its most similar items may speak for an item; more is smoother, fewer is more specific.",
        ge=1,
        le=10_000,
        tune=TuningRange(20, 500, log=True),
    )
    weighting: Literal["tf-idf", "bm25", "none"] = param(
        "tf-idf",
        help="How much each person's interactions count: 'tf-idf' and 'bm25' trust people with few of them more.",
        tune=TuningRange(choices=("tf-idf", "bm25", "none")),
    )
    asymmetry: float = param(
        0.4,
        help="How similarity is normalised: 0.5 is the cosine; lower favours popular items, higher rare ones.",
        ge=0,
        le=1,
        tune=TuningRange(0.2, 0.7),
    )
    shrinkage: float = param(
        0.0,
        help="Raise it to trust similarities that rest on few people less; added to the denominator.",
        ge=0,
        le=1e6,
        tune=TuningRange(0, 100),
    )
    bm25_saturation: float = param(
        0.2, help="BM25's k1: the higher, the more repeated interactions add.", ge=0, le=100, advanced=True
    )
    bm25_length: float = param(
        0.5, help="BM25's b: how strongly an item's popularity is held against it.", ge=0, le=1, advanced=True
    )
    min_rating: float | None = param(
        None,
        help="Leave out interactions rated lower than this; empty counts every interaction alike.",
        ge=-1e6,
        le=1e6,
        advanced=True,
    )


ITEM_KNN = AlgorithmSpec(
    id="item-knn",
    name="Item-based CF",
    family=Family.NEIGHBOURS,
    summary="Recommends what is chosen by the same people as the items in the history; quick, sparse, easy to explain.",
    implementation="recsys_neighbors.item_knn:ItemKnn",
    params=ItemKnnParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY, explains=True, additive=True, faithful_to_removal=True, similar_items=True
    ),
    paper=(
        "Deshpande & Karypis, Item-Based Top-N Recommendation Algorithms, TOIS 22(1), 2004, "
        "https://doi.org/10.1145/963770.963776; asymmetric cosine: Aiolli, RecSys 2013, "
        "https://doi.org/10.1145/2507157.2507189"
    ),
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (ITEM_KNN,)
