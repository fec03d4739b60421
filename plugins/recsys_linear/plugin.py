"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, TuningRange, hookimpl, param


class EaseParams(Params):
    """Parameters of EASE."""

    regularisation: float = param(
        400.0,
        help="Strength of the ridge penalty; raise it where items have few interactions, lower it on rich data.",
        gt=0,
        le=1e7,
        tune=TuningRange(50, 2000, log=True),
    )
    min_rating: float | None = param(
        None,
        help="Leave out interactions rated lower than this; empty counts every interaction alike.",
        ge=-1e6,
        le=1e6,
        advanced=True,
    )


EASE = AlgorithmSpec(
    id="ease",
    name="EASE",
    family=Family.LINEAR,
    summary="Item weights in closed form: among the most accurate rankers there are, trained in one step.",
    implementation="recsys_linear.ease:Ease",
    params=EaseParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY, explains=True, additive=True, faithful_to_removal=True, similar_items=True
    ),
    paper="Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, https://arxiv.org/abs/1905.03375",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (EASE,)
