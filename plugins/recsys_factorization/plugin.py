"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, TuningRange, hookimpl, param


class ImplicitALSParams(Params):
    """Parameters of implicit alternating least squares."""

    factors: int = param(
        128,
        help="Numbers that describe each person and item; more can tell finer tastes apart and take longer.",
        ge=1,
        le=2048,
        tune=TuningRange(32, 256, log=True),
    )
    regularisation: float = param(
        1.0,
        help="How strongly factors are held back, relative to the level at which patterns of mere chance would show in "
        "this data; raise it where histories are short or noisy.",
        gt=0,
        le=100,
        tune=TuningRange(0.4, 2.5, log=True),
    )
    unobserved_weight: float = param(
        10.0,
        help="Weight of all pairs that never met, together, relative to that of all observed ones; raising it trusts "
        "more that what was not chosen was not wanted.",
        gt=0,
        le=10_000,
        tune=TuningRange(3.0, 30.0, log=True),
    )
    frequency_exponent: float = param(
        0.5,
        help="How far the regularisation of a person or item grows with the number of its interactions: 0 not at all, "
        "1 in proportion.",
        ge=0,
        le=2,
        tune=TuningRange(0.0, 1.0),
        advanced=True,
    )
    iterations: int = param(
        15,
        help="Sweeps over all people and all items; the objective hardly falls after some fifteen.",
        ge=1,
        le=500,
    )
    min_rating: float | None = param(
        None,
        help="Take only interactions rated at least this; empty takes all of them.",
        label="Lowest rating that counts",
        unit="rating",
    )


IMPLICIT_ALS = AlgorithmSpec(
    id="ials",
    name="Implicit ALS",
    family=Family.FACTORISATION,
    summary="Fast factorisation of what people chose; strong lists on data of every size.",
    implementation="recsys_factorization.implicit_als:ImplicitALS",
    params=ImplicitALSParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        explains=True,
        additive=True,
        updates_live=True,
        similar_items=True,
        item_embeddings=True,
        user_embeddings=True,
        randomised=True,
    ),
    paper="Hu, Koren, Volinsky 2008, doi:10.1109/ICDM.2008.22; Rendle et al. 2021, arXiv:2110.14037",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (IMPLICIT_ALS,)
