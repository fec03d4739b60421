"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Needs, Params, Serves, TuningRange, hookimpl, param


class ContentParams(Params):
    """Parameters of TF-IDF content."""

    tags_weight: float = param(
        1.0,
        label="Weight of tags and categories",
        help="Raise it to let shared genres, tags, skills and categories count more.",
        ge=0,
        le=100,
        tune=TuningRange(0.1, 3, log=True),
    )
    title_weight: float = param(
        1.0,
        label="Weight of titles",
        help="Raise it to let shared words of the titles count more.",
        ge=0,
        le=100,
        tune=TuningRange(0.1, 3, log=True),
    )
    text_weight: float = param(
        1.0,
        label="Weight of texts",
        help="Raise it to let shared words of the descriptions count more.",
        ge=0,
        le=100,
        tune=TuningRange(0.1, 3, log=True),
    )
    numeric_weight: float = param(
        0.3,
        label="Weight of numbers",
        help="Raise it to let close numbers (year, length, price) count more.",
        ge=0,
        le=100,
        tune=TuningRange(0.1, 1, log=True),
    )
    popularity_exponent: float = param(
        0.5,
        help="0 looks at content alone; raise it to prefer, among similar items, those that more people chose.",
        ge=0,
        le=2,
        tune=TuningRange(0, 1),
    )
    min_items: int = param(
        2,
        label="Least items of a term",
        help="Words and tags of fewer items are left out: they cannot make two items alike.",
        unit="items",
        ge=1,
        le=1000,
        advanced=True,
    )
    max_terms: int = param(
        30_000,
        label="Most words",
        help="The most words kept of titles and of texts, the most frequent ones; lower it to save memory.",
        unit="words",
        ge=10,
        le=1_000_000,
        advanced=True,
    )
    min_rating: float | None = param(
        None,
        help="Leave out history rated lower than this; empty counts every interaction alike.",
        ge=-1e6,
        le=1e6,
        advanced=True,
    )


CONTENT = AlgorithmSpec(
    id="content",
    name="TF-IDF content",
    family=Family.CONTENT,
    summary="Finds items like those of the history by titles, texts, tags and numbers, also items nobody chose yet.",
    implementation="recsys_content.tfidf:ContentRecommender",
    params=ContentParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        uses_text=True,
        uses_features=True,
        scores_new_items=True,
        explains=True,
        additive=True,
        faithful_to_removal=True,
        similar_items=True,
    ),
    needs=Needs(item_content=True, interactions=False, users=0, items=0),
    paper="Lops, de Gemmis and Semeraro, Content-based Recommender Systems, Recommender Systems Handbook 2011",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (CONTENT,)
