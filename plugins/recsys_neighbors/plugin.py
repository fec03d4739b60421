"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Family,
    InteractionParams,
    Needs,
    Params,
    Serves,
    TuningRange,
    hookimpl,
    param,
)

Similarity = Literal["pearson-baseline", "pearson", "adjusted-cosine", "cosine"]


class ItemKnnParams(InteractionParams):
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
        0.35,
        help="How similarity is normalised: 0.5 is the cosine; lower favours popular items, higher rare ones. Under "
        "bm25 it has no effect.",
        ge=0,
        le=1,
        tune=TuningRange(0.2, 0.7),
    )
    shrinkage: float = param(
        10.0,
        help="Raise it to trust similarities that rest on few people less; added to the denominator. Under bm25 it has "
        "no effect.",
        unit="people",
        ge=0,
        le=1e6,
        tune=TuningRange(0, 100),
    )
    bm25_saturation: float = param(
        0.2,
        help="BM25's k1: the higher, the more the length set below counts; at 0 it counts nothing.",
        ge=0,
        le=100,
        advanced=True,
    )
    bm25_length: float = param(
        0.5, help="BM25's b: how strongly an item's popularity is held against it.", ge=0, le=1, advanced=True
    )
    popularity: float = param(
        0.6,
        help="How much popularity counts beside the history, as an item that everybody has; 0 leaves items for which "
        "nothing in the history speaks without a score.",
        ge=0,
        le=100,
        tune=TuningRange(0, 3),
    )


class UserKnnParams(InteractionParams):
    """Parameters of user-based collaborative filtering for ranking."""

    neighbours: int | None = param(
        None,
        help="How many of the most similar people may speak; more is smoother and more popular, fewer more personal. "
        "auto tries 50, 100, 200 and 400 on data set aside.",
        empty="auto",
        ge=1,
        le=10_000,
        tune=TuningRange(20, 400, log=True),
    )
    weighting: Literal["tf-idf", "none"] = param(
        "none",
        help="How much an item in common counts: 'tf-idf' counts rare items more.",
        tune=TuningRange(choices=("tf-idf", "none")),
    )
    asymmetry: float = param(
        0.5,
        help="How similarity is normalised: 0.5 is the cosine; lower favours people with short histories.",
        ge=0,
        le=1,
        tune=TuningRange(0.2, 0.7),
    )
    shrinkage: float = param(
        5.0,
        help="Raise it to trust similarities that rest on few items less; added to the denominator.",
        unit="items",
        ge=0,
        le=1e6,
        tune=TuningRange(0, 100),
    )
    popularity: float | None = param(
        None,
        help="How much everybody together counts beside the neighbours, as so many times their similarity; at 0 items "
        "that no neighbour has get no score. auto tries 0, 0.3, 1, 3, 10 and 100 on data set aside.",
        empty="auto",
        ge=0,
        le=100,
        tune=TuningRange(choices=(0.0, 0.3, 1.0, 3.0, 10.0, 100.0)),
    )
    least_similarity: float = param(
        0.0,
        help="People less similar than this do not speak: a threshold on the similarity without shrinkage. Raise the "
        "number of neighbours to 10,000 to go by it alone.",
        ge=0,
        le=1,
        advanced=True,
    )


class RatingParams(Params):
    """Parameters that both neighbourhood predictions of ratings share."""

    neighbours: int = param(
        40,
        help="How many of the nearest neighbours may speak for a prediction; more is smoother.",
        ge=1,
        le=10_000,
        tune=TuningRange(10, 100, log=True),
    )
    similarity: Similarity = param(
        "pearson-baseline",
        help="What is compared: ratings less the bias model, less common means, less the person's mean, or as given.",
        tune=TuningRange(choices=("pearson-baseline", "pearson", "adjusted-cosine", "cosine")),
    )
    shrinkage: float = param(
        200.0,
        help="Raise it to trust similarities that rest on few common ratings less.",
        unit="ratings",
        ge=0,
        le=1e6,
        tune=TuningRange(20, 500, log=True),
    )
    caution: float = param(
        0.3,
        help="Raise it to stay closer to the bias model where neighbours are few or hardly similar.",
        ge=0,
        le=1e3,
        tune=TuningRange(0, 1),
    )
    significance: int = param(
        1,
        help="Similarities that rest on fewer common ratings than this are scaled down in proportion; 1 turns it off.",
        unit="ratings",
        ge=1,
        le=10_000,
        advanced=True,
    )
    least_similarity: float = param(
        0.0,
        help="Neighbours less similar than this do not speak: a threshold on the similarity before it is shrunk. Raise "
        "the number of neighbours to 10,000 to go by it alone.",
        ge=0,
        le=1,
        advanced=True,
    )


class ItemKnnRatingParams(RatingParams):
    """Parameters of item-based collaborative filtering for rating prediction."""

    candidates: int = param(
        400,
        help="How many of its most similar items are kept for each item; more takes memory and helps short histories.",
        ge=1,
        le=100_000,
        advanced=True,
    )


class UserKnnRatingParams(RatingParams):
    """Parameters of user-based collaborative filtering for rating prediction."""


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


USER_KNN = AlgorithmSpec(
    id="user-knn",
    name="User-based CF",
    family=Family.NEIGHBOURS,
    summary="Recommends what the most similar people chose; the classic, best where people are many and items few.",
    implementation="recsys_neighbors.user_knn:UserKnn",
    params=UserKnnParams,
    capabilities=Capabilities(serves=Serves.HISTORY, explains=True, additive=True),
    paper=(
        "Sarwar et al., Analysis of Recommendation Algorithms for E-Commerce, EC 2000, "
        "https://doi.org/10.1145/352871.352887"
    ),
)

ITEM_KNN_RATING = AlgorithmSpec(
    id="item-knn-rating",
    name="Item-based CF, ratings",
    family=Family.NEIGHBOURS,
    summary="Predicts a rating from the person's own ratings of similar items; a strong and readable predictor.",
    implementation="recsys_neighbors.item_knn_rating:ItemKnnRating",
    params=ItemKnnRatingParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        predicts_ratings=True,
        uses_ratings=True,
        explains=True,
        additive=True,
        similar_items=True,
    ),
    needs=Needs(ratings=True),
    paper=(
        "Koren, Factor in the Neighbors, TKDD 4(1), 2010, sections 2.1-2.2, https://doi.org/10.1145/1644873.1644874; "
        "adjusted cosine: Sarwar et al., WWW 2001, https://doi.org/10.1145/371920.372071"
    ),
)

USER_KNN_RATING = AlgorithmSpec(
    id="user-knn-rating",
    name="User-based CF, ratings",
    family=Family.NEIGHBOURS,
    summary="Predicts a rating from those of people with similar taste who rated the item.",
    implementation="recsys_neighbors.user_knn_rating:UserKnnRating",
    params=UserKnnRatingParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY, predicts_ratings=True, uses_ratings=True, explains=True, additive=True
    ),
    needs=Needs(ratings=True),
    paper=(
        "Herlocker et al., An Algorithmic Framework for Performing Collaborative Filtering, SIGIR 1999, "
        "https://doi.org/10.1145/312624.312682"
    ),
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (ITEM_KNN, USER_KNN, ITEM_KNN_RATING, USER_KNN_RATING)
