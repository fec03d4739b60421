"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Needs, Params, Serves, TuningRange, hookimpl, param


class PopularityParams(Params):
    """Parameters of popularity."""

    min_rating: float | None = param(
        None,
        help="Leave out interactions rated lower than this; empty counts every interaction alike.",
        ge=-1e6,
        le=1e6,
        advanced=True,
    )


class BiasParams(Params):
    """Parameters of the user and item biases."""

    user_regularisation: float | None = param(
        None,
        help="How many average ratings a person's own are mixed with; empty estimates it from how much people differ.",
        unit="ratings",
        ge=0,
        le=1e6,
        tune=TuningRange(1, 30, log=True),
    )
    item_regularisation: float | None = param(
        None,
        help="How many average ratings an item's own are mixed with; empty estimates it from how much items differ.",
        unit="ratings",
        ge=0,
        le=1e6,
        tune=TuningRange(1, 30, log=True),
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
    return (POPULARITY, BIAS)
