"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Family,
    InteractionParams,
    Serves,
    TuningRange,
    hookimpl,
    param,
)


class EaseParams(InteractionParams):
    """Parameters of EASE."""

    regularisation: float | None = param(
        None,
        help="Strength of the ridge penalty; raise it where data say little beside popularity. auto tries 50, 200 and "
        "1000 on data set aside; with more than 2,000 people and items it is 200.",
        empty="auto",
        gt=0,
        le=1e7,
        tune=TuningRange(20, 2000, log=True),
    )
    intercept: bool = param(
        True,
        help="Give every item a part of its score that rests on popularity; helps where histories are short.",
    )


class SlimParams(InteractionParams):
    """Parameters of SLIM."""

    absolute_penalty: float = param(
        2.0,
        label="Penalty on the sum of weights",
        help="Raise it to keep fewer weights: an item speaks for another only if more than this many people have both.",
        unit="people",
        ge=0,
        le=1e6,
        tune=TuningRange(0.5, 20, log=True),
    )
    square_penalty: float = param(
        60.0,
        label="Penalty on squared weights",
        help="Raise it to share the weight between similar items, and to trust items with few people less.",
        unit="people",
        gt=0,
        le=1e7,
        tune=TuningRange(10, 1000, log=True),
    )
    intercept: bool = param(
        True,
        help="Give every item a part of its score that rests on popularity; helps where histories are short.",
    )


class Rp3BetaParams(InteractionParams):
    """Parameters of RP3β."""

    neighbours: int = param(
        200,
        help="How many of the most likely walks to an item are kept; more is smoother.",
        ge=1,
        le=10_000,
        tune=TuningRange(20, 500, log=True),
    )
    alpha: float = param(
        0.4,
        help="How evenly a walk spreads: 1 is a random walk, lower lets busy people and popular items speak more.",
        ge=0,
        le=2,
        tune=TuningRange(0.2, 1.2),
    )
    beta: float = param(
        0.3,
        help="How strongly an item's popularity is held against it.",
        ge=0,
        le=2,
        tune=TuningRange(0, 1),
    )
    popularity: float = param(
        0.4,
        help="How much popularity counts beside the history, as an item that everybody has; 0 leaves items for which "
        "nothing in the history speaks without a score.",
        ge=0,
        le=100,
        tune=TuningRange(0, 3),
    )


_WEIGHTS = Capabilities(
    serves=Serves.HISTORY, explains=True, additive=True, faithful_to_removal=True, similar_items=True
)

EASE = AlgorithmSpec(
    id="ease",
    name="EASE",
    family=Family.LINEAR,
    summary="Item weights in closed form: among the most accurate rankers there are, trained in one step.",
    implementation="recsys_linear.ease:Ease",
    params=EaseParams,
    capabilities=_WEIGHTS,
    paper="Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, https://arxiv.org/abs/1905.03375",
)


SLIM = AlgorithmSpec(
    id="slim",
    name="SLIM",
    family=Family.LINEAR,
    summary="Few positive item weights, learnt item by item: as accurate as EASE, small, and its reasons are readable.",
    implementation="recsys_linear.slim:Slim",
    params=SlimParams,
    capabilities=_WEIGHTS,
    paper="Ning & Karypis, SLIM: Sparse Linear Methods, ICDM 2011, https://doi.org/10.1109/ICDM.2011.134",
)

RP3BETA = AlgorithmSpec(
    id="rp3beta",
    name="RP3β",
    family=Family.LINEAR,
    summary="Walks from item to person to item, popularity held back: quick at any size, good on long tails.",
    implementation="recsys_linear.rp3beta:Rp3Beta",
    params=Rp3BetaParams,
    capabilities=_WEIGHTS,
    paper=(
        "Paudel et al., Updatable, Accurate, Diverse, and Scalable Recommendations, TiiS 7(1), 2016, "
        "https://doi.org/10.1145/2955101"
    ),
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (EASE, SLIM, RP3BETA)
