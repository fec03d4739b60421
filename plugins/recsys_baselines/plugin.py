"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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


class PopularityParams(InteractionParams):
    """Parameters of popularity."""


class BiasParams(Params):
    """Parameters of the user and item biases."""

    user_regularisation: float | None = param(
        None,
        help="How many average ratings a person's own are mixed with; auto estimates it from how much people differ.",
        empty="auto",
        unit="ratings",
        ge=0,
        le=1e6,
        tune=TuningRange(1, 30, log=True),
    )
    item_regularisation: float | None = param(
        None,
        help="How many average ratings an item's own are mixed with; auto estimates it from how much items differ.",
        empty="auto",
        unit="ratings",
        ge=0,
        le=1e6,
        tune=TuningRange(1, 30, log=True),
    )


class RecentPopularityParams(PopularityParams):
    """Parameters of time-decayed popularity."""

    half_life: float = param(
        365.0,
        help="After this time an interaction counts half; lower follows fashion faster.",
        unit="days",
        gt=0,
        le=100_000,
        tune=TuningRange(3, 1000, log=True),
    )


class NoParams(Params):
    """An algorithm that leaves nothing to choose."""


class MeanParams(Params):
    """Parameters of a mean rating."""

    caution: float = param(
        3.0,
        help="How many ratings at the overall mean are mixed in; raise it to trust few ratings less.",
        unit="ratings",
        ge=0,
        le=1e6,
        tune=TuningRange(0, 30),
    )


RANDOM = AlgorithmSpec(
    id="random",
    name="Random",
    family=Family.BASELINE,
    summary="A different shuffled list for every history: what no insight at all achieves.",
    implementation="recsys_baselines.random_order:RandomOrder",
    params=NoParams,
    capabilities=Capabilities(serves=Serves.HISTORY, explains=True, additive=True, randomised=True),
)

POPULARITY = AlgorithmSpec(
    id="popularity",
    name="Popularity",
    family=Family.BASELINE,
    summary="What most people chose, the same list for everybody: the floor that every ranker must beat.",
    implementation="recsys_baselines.popularity:Popularity",
    params=PopularityParams,
    capabilities=Capabilities(serves=Serves.EVERYONE, explains=True, additive=True, updates_live=True),
)

RECENT_POPULARITY = AlgorithmSpec(
    id="recent-popularity",
    name="Recent popularity",
    family=Family.BASELINE,
    summary="What most people chose lately: the floor where fashions change.",
    implementation="recsys_baselines.popularity:RecentPopularity",
    params=RecentPopularityParams,
    capabilities=Capabilities(
        serves=Serves.EVERYONE, uses_timestamps=True, explains=True, additive=True, updates_live=True
    ),
    needs=Needs(timestamps=True),
)

_MEAN = Capabilities(
    serves=Serves.EVERYONE, predicts_ratings=True, uses_ratings=True, explains=True, additive=True, updates_live=True
)

GLOBAL_MEAN = AlgorithmSpec(
    id="global-mean",
    name="Overall mean",
    family=Family.BASELINE,
    summary="Predicts the mean of all ratings for everything: what knowing nothing of person and item achieves.",
    implementation="recsys_baselines.means:GlobalMean",
    params=NoParams,
    capabilities=replace(_MEAN, ranks=False),
    needs=Needs(ratings=True),
)

USER_MEAN = AlgorithmSpec(
    id="user-mean",
    name="User mean",
    family=Family.BASELINE,
    summary="Predicts the person's own mean rating for everything.",
    implementation="recsys_baselines.means:UserMean",
    params=MeanParams,
    capabilities=replace(_MEAN, serves=Serves.HISTORY, ranks=False),
    needs=Needs(ratings=True),
)

ITEM_MEAN = AlgorithmSpec(
    id="item-mean",
    name="Item mean",
    family=Family.BASELINE,
    summary="Predicts an item's mean rating for everybody.",
    implementation="recsys_baselines.means:ItemMean",
    params=MeanParams,
    capabilities=_MEAN,
    needs=Needs(ratings=True),
)

BIAS = AlgorithmSpec(
    id="bias",
    name="User and item bias",
    family=Family.BASELINE,
    summary="Predicts ratings from how generous the person and how well rated the item is: the floor for predictions.",
    implementation="recsys_baselines.bias:Bias",
    params=BiasParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        predicts_ratings=True,
        uses_ratings=True,
        explains=True,
        additive=True,
        updates_live=True,
    ),
    needs=Needs(ratings=True),
    paper="Koren, Factor in the Neighbors, TKDD 4(1), 2010, section 2.1, https://doi.org/10.1145/1644873.1644874",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (POPULARITY, RECENT_POPULARITY, BIAS, ITEM_MEAN, USER_MEAN, GLOBAL_MEAN, RANDOM)
