"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Family,
    InteractionParams,
    Needs,
    Serves,
    TuningRange,
    hookimpl,
    param,
)


class ContentParams(InteractionParams):
    """Parameters of content-based recommendation."""

    title_weight: float = param(
        1.0,
        help="How much words in common in the titles count beside other features; 0 leaves titles out.",
        ge=0,
        le=100,
        tune=TuningRange(0, 2),
    )
    text_weight: float = param(
        1.0,
        help="How much words in common in descriptions count beside other features; 0 leaves texts out.",
        ge=0,
        le=100,
        tune=TuningRange(0, 2),
    )
    category_weight: float = param(
        1.0,
        help="How much each column of categories or tags counts beside other features; 0 leaves them out.",
        ge=0,
        le=100,
        tune=TuningRange(0, 2),
    )
    number_weight: float = param(
        1.0,
        help="How much near numbers count (length, level, a year in the title); 0 leaves numbers out.",
        ge=0,
        le=100,
        tune=TuningRange(0, 2),
    )
    interest_weight: float = param(
        5.0,
        help="How many items of the history one stated interest counts as.",
        ge=0,
        le=1000,
        advanced=True,
    )
    popularity: float = param(
        2.0,
        help="Raise it to prefer popular items among those that fit; 0 looks at content alone.",
        ge=0,
        le=10,
        tune=TuningRange(0, 4),
    )


CONTENT = AlgorithmSpec(
    id="content",
    name="Content-based",
    family=Family.CONTENT,
    summary="Items like those in the history, by title, text, categories and numbers; lists items that nobody has met.",
    implementation="recsys_content.content:ContentBased",
    params=ContentParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        uses_text=True,
        uses_features=True,
        scores_new_items=True,
        explains=True,
        additive=True,
        faithful_to_removal=True,
        updates_live=True,
        similar_items=True,
    ),
    needs=Needs(item_content=True, interactions=False),
    paper="Lops, de Gemmis and Semeraro, Content-based Recommender Systems, Recommender Systems Handbook, 2011",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (CONTENT,)
