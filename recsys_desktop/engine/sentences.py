"""Sentences: what the numbers of an explanation say, in words that claim no more than the model knows.

Each wording has a key and values beside its English text, so that a translation fills the same values into its own.
Models that do not read ratings speak of what a person chose, never of how it was liked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.explanation import Source
from recsys_desktop.api.features import CategoryColumn, TagsColumn
from recsys_desktop.api.query import Query
from recsys_desktop.engine.results import ExplanationPart, Phrase

WORDINGS = {
    "because-chosen": "Because you chose {items}{share}.",
    "because-rated": "Because you rated {items}{share}.",
    "because-features": "It matches what you chose: {labels}{share}.",
    "because-people": "People whose choices are like yours chose it: {labels}{share}.",
    "because-factors": "It fits the taste that {algorithm} found in your choices: {labels}{share}.",
    "because-models": "{labels} speak for it{share}.",
    "because-model": "{labels} speaks for it{share}.",
    "because-general": "It does well with everybody: {labels}{share}.",
    "because-learnt": "{algorithm} places it here from all that it learnt of your choices; no single one decides it.",
    "nothing-speaks-for-it": "{algorithm} places it here, but nothing in your history speaks for it in particular.",
    "more-speaks-against-it": "More in your history speaks against it than for it, {labels} most.",
    "because-popular": "{count} people chose it. Popularity answers because {reason}.",
    "counterfactual": "Without {removed}, {instead} would have this place.",
}
"""Every wording by key."""

_SHOWN = 2
_LEAST_SHARE = 0.1

_KEYS = {
    Source.FEATURE.value: "because-features",
    Source.NEIGHBOUR.value: "because-people",
    Source.FACTOR.value: "because-factors",
    Source.BIAS.value: "because-general",
}


def phrase(key: str, **values: Any) -> Phrase:
    """One wording with its values filled in."""
    return Phrase(key, values, WORDINGS[key].format(**{name: _text(name, value) for name, value in values.items()}))


def _text(name: str, value: Any) -> str:
    if name == "share":
        return "" if value is None else f" ({value:.0%} of its score)"
    if name == "count":
        return f"{value:,}"
    if name == "items":
        return enumeration([_item_text(entry) for entry in value])
    if isinstance(value, str):
        return value
    return enumeration([str(part) for part in value])


def _item_text(entry: dict[str, Any]) -> str:
    rating = entry["rating"]
    return str(entry["title"]) if rating is None else f"{entry['title']} {rating:g}"


def enumeration(parts: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


class Weighed(Protocol):
    """Something that speaks for or against an item: a contribution, or a part of an explanation."""

    @property
    def kind(self) -> str:
        """A `Source`."""

    @property
    def value(self) -> float:
        """In the score's unit."""


def sentence(
    parts: Sequence[Weighed],
    score: float,
    *,
    algorithm: str,
    exact: bool,
    rating_aware: bool,
    name: Callable[[Any], ExplanationPart] = lambda part: part,
) -> Phrase:
    """The sentence of an explanation: the kind of part that speaks most for the item, and its largest parts.

    name: gives the title and rating of those parts that the sentence names.

    A general part (a bias) is named only where nothing else speaks for the item. Where the parts weigh against the
    item, the sentence says so.
    """
    positive = [part for part in parts if part.value > 0]
    negative = sorted((part for part in parts if part.value < 0), key=lambda part: part.value)
    if negative and sum(part.value for part in parts) < 0:
        return phrase("more-speaks-against-it", labels=[name(part).label for part in negative[:_SHOWN]])
    if not positive:
        return phrase("nothing-speaks-for-it" if parts else "because-learnt", algorithm=algorithm)
    sums: dict[str, float] = {}
    for part in positive:
        sums[part.kind] = sums.get(part.kind, 0.0) + part.value
    personal = {kind: value for kind, value in sums.items() if kind != Source.BIAS}
    kind = max(personal or sums, key=lambda candidate: sums[candidate])
    strongest = sorted((part for part in positive if part.kind == kind), key=lambda part: -part.value)[:_SHOWN]
    named = [name(part) for part in strongest]
    share = _share(sum(part.value for part in named), score) if exact else None
    if kind == Source.HISTORY.value:
        rated = rating_aware and all(part.rating is not None for part in named)
        items = [{"item": part.item, "title": part.label, "rating": part.rating if rated else None} for part in named]
        return phrase("because-rated" if rated else "because-chosen", items=items, share=share)
    labels = [part.label for part in named]
    if kind == Source.MODEL.value:
        return phrase("because-models" if len(labels) > 1 else "because-model", labels=labels, share=share)
    if kind == Source.FACTOR.value:
        return phrase("because-factors", algorithm=algorithm, labels=labels, share=share)
    return phrase(_KEYS[kind], labels=labels, share=share)


def _share(part: float, score: float) -> float | None:
    """The part's share of the score, where that is a sensible thing to say."""
    if score <= 0 or not _LEAST_SHARE <= part / score <= 1:
        return None
    return part / score


def chips(dataset: Dataset, query: Query, item: int, strongest: ExplanationPart | None, fallback: str) -> list[str]:
    """Short reasons for a card: the history entry that counts most, and categories that this person chose before."""
    found: list[str] = []
    if fallback:
        found.append("popular")
    if strongest is not None and strongest.value > 0 and strongest.kind == Source.HISTORY:
        found.append(f"goes with {strongest.label}")
    return found + shared_categories(dataset, query, item, 3 - len(found))


def shared_categories(dataset: Dataset, query: Query, item: int, most: int) -> list[str]:
    """The item's categories that this person's history has most often, each as "Comedy: 14 of your 20"."""
    history = query.history(0)
    if not len(history):
        return []
    counts: dict[str, int] = {}
    for column in dataset.item_features.columns.values():
        if isinstance(column, TagsColumn):
            chosen = column.take(history.astype(np.int64)).indices
            for category in column.indices[column.indptr[item] : column.indptr[item + 1]].tolist():
                counts[column.categories[category]] = int((chosen == category).sum())
        elif isinstance(column, CategoryColumn) and column.codes[item] >= 0:
            code = int(column.codes[item])
            counts[column.categories[code]] = int((column.codes[history] == code).sum())
    ordered = sorted(((count, name) for name, count in counts.items() if count > 0), key=lambda pair: -pair[0])
    return [f"{name}: {count} of your {len(history)}" for count, name in ordered[:most]]
