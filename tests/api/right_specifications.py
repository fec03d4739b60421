"""Specifications of small algorithms that keep every promise; light, as an author's own should be."""

from __future__ import annotations

from typing import Any

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Family,
    Needs,
    Params,
    Serves,
    TuningRange,
    param,
)


def specification(name: str, serves: Serves, params: type[Params], needs: Needs | None = None, **capabilities: Any):
    return AlgorithmSpec(
        id=name.lower(),
        name=name,
        family=Family.BASELINE,
        summary=f"{name}, small enough to read.",
        implementation=f"tests.api.right_algorithms:{name}",
        params=params,
        capabilities=Capabilities(serves=serves, **capabilities),
        needs=needs if needs is not None else Needs(),
    )


class NoParams(Params):
    pass


class NeighboursParams(Params):
    shrinkage: float = param(
        1.0, help="Interactions added to every count; raise it to trust rare items less.", ge=0, le=100
    )
    power: int = param(
        1,
        help="How sharply similar items stand out; raise it for fewer, closer ones.",
        ge=1,
        le=4,
        tune=TuningRange(1, 3),
    )
    form: str = param("cosine", help="Has no effect; there so that text is tested.")


NEIGHBOURS = specification(
    "Neighbours",
    Serves.HISTORY,
    NeighboursParams,
    explains=True,
    additive=True,
    faithful_to_removal=True,
    similar_items=True,
    updates_live=True,
)


POPULAR = specification("Popular", Serves.EVERYONE, NoParams, updates_live=True)


class FactorsParams(Params):
    factors: int = param(4, help="How many tastes are told apart; raise it on rich data.", ge=1, le=64)
    epochs: int = param(30, help="The most passes over the data; raise it if figures still improve.", ge=1, le=500)


FACTORS = specification(
    "Factors",
    Serves.KNOWN_USERS,
    FactorsParams,
    Needs(ratings=True),
    predicts_ratings=True,
    uses_ratings=True,
    trains_in_epochs=True,
    randomised=True,
    item_embeddings=True,
    user_embeddings=True,
)


CONTENT = specification(
    "Content",
    Serves.HISTORY,
    NoParams,
    Needs(item_content=True, timestamps=True),
    uses_features=True,
    uses_timestamps=True,
    scores_new_items=True,
)


FOLD = specification("Fold", Serves.FOLD_IN, NoParams, item_embeddings=True, similar_items=True)


BIASES = specification(
    "Biases", Serves.HISTORY, NoParams, Needs(ratings=True), predicts_ratings=True, uses_ratings=True, ranks=False
)


class BlendParams(Params):
    members: tuple[str, ...] = param(("neighbours", "fold"), help="The algorithms whose scores are added up.")


BLEND = specification("Blend", Serves.FOLD_IN, BlendParams)
