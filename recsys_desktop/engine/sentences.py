"""Sentences: what the numbers of an explanation say, in words that claim no more than the model knows.

Each wording has a key and values beside its English text, so that a translation fills the same values into its own.
Models that do not read ratings speak of what a person chose, never of how it was liked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    "because-alike": "It has {labels} in common with {items}{share}.",
    "because-features": "What speaks for it with you: {labels}{share}.",
    "because-interests": "It matches your {labels}{share}.",
    "because-people": "People whose choices are like yours chose it: {labels}{share}.",
    "because-raters": "People who rate alike with you gave it more than usual: {labels}{share}.",
    "because-factors": "It fits the taste that {algorithm} found in your choices: {labels}{share}.",
    "because-models": "{labels} place it high for you.",
    "because-model": "{labels} places it high for you.",
    "because-general": "It does well with everybody: {labels}{share}.",
    "because-learnt": "{algorithm} places it here from your choices taken together.",
    "low-chosen": "It stands low for you; what speaks for it most is that you chose {items}.",
    "low-labels": "It stands low for you; what speaks for it most: {labels}.",
    "features-against-it": "More speaks against it with you than for it, most of all: {labels}.",
    "more-speaks-against-it": "Your choices speak more against it than for it, {items} most.",
    "chosen-by": "{people} chose it.",
    "chosen-lately": "It was chosen lately: it counts {amount} people, older choices counting for less.",
    "rated-higher": "People rate it {mean} on average, more than the {overall} of all items.",
    "rated-lower": "People rate it {mean} on average, no more than the {overall} of all items.",
    "rated-alike": "People rate it {mean} on average, about as much as all items.",
    "rated-by-nobody": "Nobody has rated it yet.",
    "own-average": "It is expected to get what you give on average.",
    "overall-average": "It is expected to get what people give on average; {algorithm} has no rating of yours.",
    "random": "Picked at random.",
    "same-for-everybody": "Everybody gets the same from {algorithm}; your choices play no part.",
    "chosen-by-others": "No choice of yours leads to it; {people} chose it.",
    "without-choices": "{algorithm} places it here without any choice of yours to go by.",
    "because-popular": "{people} chose it. Popularity answers because {reason}.",
    "counterfactual": "It is number {place} of your list; without {removed}, {instead} would be.",
}
"""Every wording by key."""

_SHOWN = 2
_LEAST_SHARE = 0.1
_LEAST_BESIDE_GENERAL = 0.05

_MEANS_ALIKE = 0.01

_CONCRETE = (Source.HISTORY.value, Source.FEATURE.value, Source.NEIGHBOUR.value)
_INTEREST = "interest in "

CHANCE = "chance"
ITEM_RATING = "how this item is rated"
PERSON_RATING = "how this person rates"
CHOSEN = "people who chose it"
CHOSEN_LATELY = "people who chose it lately"
CHOSEN_OFTEN = "how often it is chosen"
"""Names of biases that have a wording of their own; a hybrid puts its member and a colon before them."""


def phrase(key: str, **values: Any) -> Phrase:
    """One wording with its values filled in."""
    texts = {name: _text(name, value) for name, value in values.items()}
    if "mean" in values and "overall" in values:
        texts["mean"], texts["overall"] = _apart(values["mean"], values["overall"])
    return Phrase(key, values, WORDINGS[key].format(**texts))


def without_share(sentence: Phrase) -> str:
    """A sentence without the share that its reasons have in the score, for where there is little room."""
    if sentence.values.get("share") is None:
        return sentence.text
    return phrase(sentence.key, **{**sentence.values, "share": None}).text


def _text(name: str, value: Any) -> str:
    if name == "share":
        return "" if value is None else f" ({value:.0%} of its score)"
    if name == "people":
        return "1 person" if value == 1 else f"{value:,} people"
    if name in ("amount", "mean", "overall"):
        return f"{value:,.1f}"
    if name == "place":
        return f"{value:,}"
    if name == "items":
        return enumeration([_item_text(entry) for entry in value])
    if isinstance(value, str):
        return value
    return enumeration([str(part) for part in value])


def _apart(mean: float, overall: float) -> tuple[str, str]:
    """Two means with one decimal, or with two where one does not tell them apart."""
    texts = _text("mean", mean), _text("overall", overall)
    return texts if texts[0] != texts[1] else (f"{mean:,.2f}", f"{overall:,.2f}")


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

    @property
    def label(self) -> str:
        """A name for what is no item and no person."""


@dataclass(frozen=True)
class ItemFacts:
    """What the data says of an item. people: who chose it. mean: of its ratings, overall: of all; NaN without ratings.

    Both means are in rating units.
    """

    people: int
    mean: float = float("nan")
    overall: float = float("nan")

    @property
    def rated_higher(self) -> bool:
        """Whether its ratings are above those of all items."""
        return self.mean > self.overall


@dataclass(frozen=True)
class Telling:
    """What a sentence has to know beside the parts.

    algorithm: its name. exact: the parts add up to the score. rating_aware: the values of ratings matter.
    predicts_ratings: scores are in rating units. for_everybody: the scores are the same for all people. blends: parts
    of the kind MODEL are members with names. has_choices: the person has a history. favoured: the item does not stand
    in the lower half for this person. residual: what the parts do not account for, in the score's unit, where they were
    not measured and do not add up by construction. base: what the score of a ranker starts from before the history
    counts; 0 where that is a mean rating. has_ratings: the history has ratings. facts: what the data says of the item.
    """

    algorithm: str
    facts: ItemFacts
    exact: bool = False
    rating_aware: bool = False
    predicts_ratings: bool = False
    for_everybody: bool = False
    blends: bool = False
    has_choices: bool = True
    favoured: bool = True
    residual: float = 0.0
    base: float = 0.0
    has_ratings: bool = True


def sentence(
    parts: Sequence[Weighed],
    score: float,
    telling: Telling,
    name: Callable[[Any], ExplanationPart] = lambda part: part,
) -> Phrase:
    """The sentence of an explanation: the kind of part that speaks most for the item, and its largest parts.

    name: gives the title and rating of those parts that the sentence names.

    The zero of a score may be arbitrary, so whether an item stands low is told by `telling.favoured`, not by a sign.
    What a person can check (choices, features, people) goes before models and factors, these before what holds for
    everybody, unless they come to next to nothing beside it; choices that weigh against an item in sum are named as its
    reason only where nothing general speaks for it. Choices that are smaller in sum than what is not accounted for are
    no reason, and what has no name goes before what holds for everybody only where it is larger. Where a ranker has no
    bias of its own for the item, the start of the score is what many choose, and is the reason where it outweighs what
    the parts add.
    """
    sums = {part.kind: 0.0 for part in parts}
    positive = dict(sums)
    for part in parts:
        sums[part.kind] += part.value
        positive[part.kind] += max(part.value, 0.0)
    history, feature = Source.HISTORY.value, Source.FEATURE.value
    if abs(sums.get(history, 0.0)) <= abs(telling.residual):
        positive.pop(history, None)
    elif not telling.favoured and sums[history] < 0:
        worst = sorted((part for part in parts if part.kind == history), key=lambda part: part.value)[:_SHOWN]
        return phrase("more-speaks-against-it", items=_items([name(part) for part in worst if part.value < 0], False))
    personal = {kind: value for kind, value in positive.items() if kind != Source.BIAS.value and value > 0}
    concrete = {kind: personal[kind] for kind in _CONCRETE if kind in personal}
    if concrete and sum(concrete.values()) >= _LEAST_SHARE * sum(personal.values()):
        kind = max(concrete, key=lambda candidate: concrete[candidate])
    else:
        kind = max(personal, key=lambda candidate: personal[candidate], default="")
    if kind == feature and sums[kind] < 0 and not telling.favoured:
        against = sorted((part for part in parts if part.kind == kind), key=lambda part: part.value)[:_SHOWN]
        return phrase("features-against-it", labels=[part.label for part in against if part.value < 0])
    of_item = [part for part in parts if part.kind == Source.BIAS.value and _bias_name(part) != PERSON_RATING]
    if parts and not of_item and telling.base > max(sum(sums.values()), 0.0) and telling.facts.people:
        return phrase("chosen-by", people=telling.facts.people)
    general = _general(parts, score, telling)
    if not kind or (kind == Source.MODEL.value and not telling.blends):
        unnamed = max(sums.get(Source.MODEL.value, 0.0) + telling.residual, 0.0)
        told = general if unnamed <= max(_value_for_all(parts, telling), 0.0) else None
        return told or _unspecific(parts, telling)
    for_all = _value_for_all(parts, telling)
    if general is not None and for_all > 0 and sums[kind] <= _LEAST_BESIDE_GENERAL * for_all:
        return general
    strongest = sorted((part for part in parts if part.kind == kind and part.value > 0), key=lambda part: -part.value)
    named = [name(part) for part in strongest[:_SHOWN]]
    return _personal(kind, named, _share(sum(part.value for part in named), score) if telling.exact else None, telling)


def _personal(kind: str, named: Sequence[ExplanationPart], share: float | None, telling: Telling) -> Phrase:
    labels = [part.label for part in named]
    if kind == Source.HISTORY.value and all(part.shared for part in named):
        return phrase("because-alike", labels=_common(named), items=_items(named, False), share=share)
    if kind == Source.HISTORY.value:
        if not telling.favoured:
            return phrase("low-chosen", items=_items(named, False))
        rated = telling.rating_aware and all(part.rating is not None for part in named)
        return phrase("because-rated" if rated else "because-chosen", items=_items(named, rated), share=share)
    if kind == Source.FEATURE.value:
        stated = [label[label.index(_INTEREST) :] for label in labels if _INTEREST in label]
        if stated:
            return phrase("because-interests", labels=stated, share=share if len(stated) == len(labels) else None)
    if kind == Source.NEIGHBOUR.value:
        key = "because-raters" if telling.rating_aware else "because-people"
        return phrase(key, labels=labels, share=share)
    if not telling.favoured:
        return phrase("low-labels", labels=labels)
    if kind == Source.FEATURE.value:
        return phrase("because-features", labels=labels, share=share)
    if kind == Source.FACTOR.value:
        return phrase("because-factors", algorithm=telling.algorithm, labels=labels, share=share)
    return phrase("because-models" if len(labels) > 1 else "because-model", labels=labels)


def _common(named: Sequence[ExplanationPart]) -> list[str]:
    """What the named items share with the explained one: what all of them share where there is something, else all."""
    lists = [part.shared.split(", ") for part in named]
    of_all = [label for label in lists[0] if all(label in others for others in lists)]
    return list(dict.fromkeys(of_all or [label for labels in lists for label in labels[:1]]))


def _items(named: Sequence[ExplanationPart], rated: bool) -> list[dict[str, Any]]:
    return [{"item": part.item, "title": part.label, "rating": part.rating if rated else None} for part in named]


def _bias_name(part: Weighed) -> str:
    return part.label.rpartition(": ")[2]


def _general(parts: Sequence[Weighed], score: float, telling: Telling) -> Phrase | None:
    """What holds for the item with everybody, in the words of its largest bias; None where nothing is known."""
    biases = sorted((part for part in parts if part.kind == Source.BIAS.value), key=lambda part: -part.value)
    of_item = [part for part in biases if _bias_name(part) != PERSON_RATING]
    if not of_item:
        if telling.predicts_ratings and not telling.for_everybody and not (biases and len(parts) == len(biases)):
            return _rated(telling.facts) if parts else None
        if biases and not telling.has_ratings:
            return phrase("overall-average", algorithm=telling.algorithm)
        return phrase("own-average") if biases else None
    bias, label = of_item[0], _bias_name(of_item[0])
    if label == CHANCE:
        return phrase("random")
    if label == ITEM_RATING:
        return _rated(telling.facts)
    if label == CHOSEN and telling.exact and bias.value == score and score == round(score):
        return phrase("chosen-by", people=int(score))
    if label == CHOSEN_LATELY and telling.exact and bias.value == score:
        return phrase("chosen-lately", amount=score)
    if label in (CHOSEN, CHOSEN_LATELY, CHOSEN_OFTEN):
        return phrase("chosen-by", people=telling.facts.people)
    raising = [part.label for part in of_item if part.value > 0][:_SHOWN]
    return phrase("because-general", labels=raising, share=None) if raising else None


def _rated(facts: ItemFacts) -> Phrase:
    if np.isnan(facts.mean):
        return phrase("rated-by-nobody")
    if abs(facts.mean - facts.overall) < _MEANS_ALIKE:
        return phrase("rated-alike", mean=facts.mean)
    return phrase("rated-higher" if facts.rated_higher else "rated-lower", mean=facts.mean, overall=facts.overall)


def _value_for_all(parts: Sequence[Weighed], telling: Telling) -> float:
    """How much what holds for everybody raises the item, in the score's unit."""
    of_item = [part.value for part in parts if part.kind == Source.BIAS.value and _bias_name(part) != PERSON_RATING]
    if of_item:
        return sum(of_item)
    higher = telling.predicts_ratings and telling.facts.rated_higher
    return telling.facts.mean - telling.facts.overall if higher else 0.0


def _unspecific(parts: Sequence[Weighed], telling: Telling) -> Phrase:
    if telling.for_everybody:
        return phrase("same-for-everybody", algorithm=telling.algorithm)
    if not telling.has_choices and not parts:
        return phrase("without-choices", algorithm=telling.algorithm)
    if telling.exact and not parts:
        return phrase("chosen-by-others", people=telling.facts.people)
    return phrase("because-learnt", algorithm=telling.algorithm)


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
