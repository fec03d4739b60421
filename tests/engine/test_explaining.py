"""Explanations add up, say no more than the model knows, and what-ifs are verified by re-scoring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recsys_desktop.engine import Engine, ExplainRequest, RecommendRequest, TrainRequest, UnknownName
from recsys_desktop.engine.explaining import item_facts
from recsys_desktop.engine.results import ExplanationPart
from recsys_desktop.engine.sentences import WORDINGS, ItemFacts, Telling, phrase, sentence, without_share

FACTS = ItemFacts(30, mean=4.3, overall=3.6)


@pytest.fixture
def trained(engine: Engine) -> Engine:
    for algorithm in ("toy-together", "toy-silent", "toy-mean", "toy-popular"):
        engine.train(TrainRequest(algorithm, "toy"))
    return engine


def first_item(engine: Engine, model: str, user: str = "00") -> str:
    return engine.recommend(RecommendRequest(model, user)).items[0].item


def test_the_parts_of_an_exact_explanation_add_up_to_the_score(trained: Engine) -> None:
    item = first_item(trained, "toy-together")
    view = trained.explain(ExplainRequest("toy-together", item, "00"))
    assert view.exact and view.faithful_to_removal
    assert view.base + sum(part.value for part in view.parts) + view.residual == pytest.approx(view.score, rel=1e-6)
    assert abs(view.residual) < 1e-6
    history = {entry.item: entry for entry in trained.history("toy", "00")}
    assert {part.item for part in view.parts} <= set(history)
    assert all(part.rating == history[part.item].rating for part in view.parts if part.item)
    magnitudes = [abs(part.value) for part in view.parts]
    assert magnitudes == sorted(magnitudes, reverse=True)


def test_measured_effects_of_a_linear_model_equal_its_own_contributions(trained: Engine) -> None:
    """The silent toy scores like the other one times a constant, so leaving entries out must find the same shares."""
    item = first_item(trained, "toy-silent")
    own = trained.explain(ExplainRequest("toy-together", item, "00"))
    measured = trained.explain(ExplainRequest("toy-silent", item, "00"))
    assert not measured.exact and "measured" in measured.method
    assert measured.residual == pytest.approx(0, abs=1e-4)
    shares = {part.item: part.value / own.score for part in own.parts}
    for part in measured.parts:
        assert part.value / measured.score == pytest.approx(shares[part.item], rel=1e-4)


def test_the_measured_explanation_of_a_list_agrees_with_that_of_one_item(trained: Engine) -> None:
    answer = trained.recommend(RecommendRequest("toy-silent", "00", n=3, explain=True))
    for item in answer.items:
        single = trained.explain(ExplainRequest("toy-silent", item.item, "00"))
        assert item.explanation is not None
        assert item.explanation.parts == single.parts
    without = trained.recommend(RecommendRequest("toy-silent", "00", n=3))
    assert all(item.explanation is None and item.sentence.text for item in without.items)


def test_a_model_that_ignores_the_history_does_not_blame_it(trained: Engine) -> None:
    view = trained.explain(ExplainRequest("toy-popular", first_item(trained, "toy-popular"), "00"))
    assert view.parts == ()
    assert view.method.startswith("none")
    assert view.sentence.text == "Everybody gets the same from Toy popular; your choices play no part."


def test_the_counterfactual_is_what_re_scoring_gives(trained: Engine) -> None:
    checked = 0
    for user in ("00", "01", "05", "010", "030"):
        item = first_item(trained, "toy-together", user)
        view = trained.explain(ExplainRequest("toy-together", item, user))
        if view.counterfactual is None:
            continue
        what_if = view.counterfactual
        assert what_if.verified and what_if.instead != item
        assert what_if.sentence.text.startswith("It is number 1 of your list; without ")
        left = [
            (entry.item, entry.rating, entry.timestamp)
            for entry in trained.history("toy", user)
            if entry.item not in what_if.removed
        ]
        again = trained.recommend(RecommendRequest("toy-together", history=left, n=24))
        listed = [entry.item for entry in again.items if entry.item not in what_if.removed]
        assert listed[0] == what_if.instead
        fewer = what_if.removed[:-1]
        if fewer:
            kept = [
                (entry.item, entry.rating, entry.timestamp)
                for entry in trained.history("toy", user)
                if entry.item not in fewer
            ]
            partly = trained.recommend(RecommendRequest("toy-together", history=kept, n=24))
            assert next(entry.item for entry in partly.items if entry.item not in fewer) == item
        checked += 1
    assert checked >= 3


def test_what_the_model_cannot_score_is_explained_by_who_answers(trained: Engine) -> None:
    view = trained.explain(ExplainRequest("toy-together", "000", history=[]))
    assert view.served_by == "popularity" and view.sentence.key == "because-popular"
    assert "no score" in view.sentence.text
    assert view.confidence is None


def test_an_unknown_item_is_refused(trained: Engine) -> None:
    with pytest.raises(UnknownName, match="item 'nothing'"):
        trained.explain(ExplainRequest("toy-together", "nothing", "00"))


def test_rating_blind_models_speak_of_choices_and_rating_aware_ones_of_ratings(trained: Engine) -> None:
    blind = trained.explain(ExplainRequest("toy-together", first_item(trained, "toy-together"), "00"))
    assert blind.sentence.key == "because-chosen"
    assert "you chose Title" in blind.sentence.text and "rated" not in blind.sentence.text
    parts = [
        ExplanationPart("Heat", 0.4, "history", "1", 4.5),
        ExplanationPart("Alien", 0.3, "history", "2", 5.0),
        ExplanationPart("Dune", 0.1, "history", "3", 3.0),
    ]
    aware = sentence(parts, 1.0, Telling("X", FACTS, exact=True, rating_aware=True))
    assert aware.text == "Because you rated Heat 4.5 and Alien 5 (70% of its score)."
    assert sentence(parts, 1.0, Telling("X", FACTS)).text == "Because you chose Heat and Alien."


@pytest.mark.parametrize("wording", WORDINGS.values())
def test_no_wording_claims_a_feeling(wording: str) -> None:
    assert not any(word in wording.lower() for word in ("love", "like it", "enjoy", "hate"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("feature", "What speaks for it with you: Comedy and Drama."),
        ("neighbour", "People whose choices are like yours chose it: Comedy and Drama."),
        ("factor", "It fits the taste that X found in your choices: Comedy and Drama."),
        ("model", "Comedy and Drama place it high for you."),
        ("bias", "It does well with everybody: Comedy and Drama."),
    ],
)
def test_each_kind_of_part_has_its_wording(kind: str, expected: str) -> None:
    parts = [ExplanationPart("Comedy", 0.2, kind), ExplanationPart("Drama", 0.1, kind)]
    assert sentence(parts, 1.0, Telling("X", FACTS, blends=True)).text == expected


def test_what_speaks_against_an_item_is_not_sold_as_a_reason_for_it() -> None:
    parts = [ExplanationPart("Heat", -0.4, "history", "1"), ExplanationPart("Alien", 0.3, "history", "2")]
    words = sentence(parts, -0.1, Telling("X", FACTS, exact=True, favoured=False))
    assert words.key == "more-speaks-against-it" and "Heat" in words.text and "Alien" not in words.text


def test_a_negative_score_is_no_reason_against_an_item_that_stands_high() -> None:
    parts = [ExplanationPart("layers", -4.0, "model"), ExplanationPart("Alien", 0.3, "history", "2")]
    assert sentence(parts, -3.7, Telling("X", FACTS)).text == "Because you chose Alien."
    popular = [ExplanationPart("how often it is chosen", -2.0, "bias"), ExplanationPart("Alien", -0.3, "history", "2")]
    assert sentence(popular, -2.3, Telling("X", FACTS)).text == "30 people chose it."


def test_choices_that_weigh_against_an_item_in_sum_are_not_its_reason_where_everybody_rates_it_high() -> None:
    parts = [ExplanationPart("Heat", -0.4, "history", "1", 2.0), ExplanationPart("Alien", 0.1, "history", "2", 5.0)]
    aware = Telling("X", FACTS, exact=True, rating_aware=True, predicts_ratings=True)
    assert sentence(parts, 4.0, aware).text == "People rate it 4.3 on average, more than the 3.6 of all items."
    worse = replace(aware, facts=ItemFacts(30, mean=3.0, overall=3.6))
    assert sentence(parts, 2.7, worse).text == "Because you rated Alien 5."


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("feature", "It stands low for you; what speaks for it most: Comedy."),
        ("factor", "It stands low for you; what speaks for it most: Comedy."),
        ("model", "It stands low for you; what speaks for it most: Comedy."),
        ("history", "It stands low for you; what speaks for it most is that you chose Comedy."),
    ],
)
def test_an_item_that_stands_low_is_not_praised(kind: str, expected: str) -> None:
    parts = [ExplanationPart("Comedy", 0.2, kind), ExplanationPart("Drama", -0.1, kind)]
    telling = Telling("X", FACTS, blends=True, rating_aware=True, favoured=False)
    assert sentence(parts, -0.5, telling).text == expected


def test_features_that_speak_against_an_item_in_sum_are_said_to() -> None:
    parts = [ExplanationPart("Comedy", 0.2, "feature"), ExplanationPart("Drama", -0.4, "feature")]
    words = sentence(parts, -0.5, Telling("X", FACTS, favoured=False))
    assert words.text == "More speaks against it with you than for it, most of all: Drama."


@pytest.mark.parametrize(
    ("bias", "history", "residual", "expected"),
    [
        (0.8, 0.009, -0.07, "30 people chose it."),
        (-0.3, 0.009, -0.07, "30 people chose it."),
        (0.1, 0.009, 0.3, "X places it here from your choices taken together."),
        (0.8, 0.2, -0.07, "Because you chose Heat."),
        (-0.3, 0.2, 0.1, "Because you chose Heat."),
        (0.8, -0.009, -0.07, "30 people chose it."),
    ],
)
def test_choices_smaller_than_what_is_not_accounted_for_are_no_reason(
    bias: float, history: float, residual: float, expected: str
) -> None:
    parts = [ExplanationPart("how often it is chosen", bias, "bias"), ExplanationPart("Heat", history, "history", "1")]
    for favoured in (True, False) if history < abs(residual) else (True,):
        telling = Telling("X", FACTS, residual=residual, favoured=favoured)
        assert sentence(parts, 1.0, telling).text == expected


def test_what_has_no_name_goes_before_what_holds_for_everybody_only_where_it_is_larger() -> None:
    bias = ExplanationPart("how often it is chosen", 0.5, "bias")
    assert sentence([bias, ExplanationPart("layers", 0.1, "model")], 0.6, Telling("X", FACTS)).key == "chosen-by"
    assert sentence([bias, ExplanationPart("layers", 0.9, "model")], 1.4, Telling("X", FACTS)).key == "because-learnt"


@pytest.mark.parametrize(
    ("label", "value", "expected"),
    [
        ("chance", 0.9, "Picked at random."),
        ("people who chose it", 12.0, "12 people chose it."),
        ("people who chose it", 1.0, "1 person chose it."),
        ("Popularity: people who chose it", 0.4, "30 people chose it."),
        (
            "people who chose it lately",
            7.25,
            "It was chosen lately: it counts 7.2 people, older choices counting for less.",
        ),
        ("how this item is rated", 0.4, "People rate it 4.3 on average, more than the 3.6 of all items."),
        ("how this person rates", -0.4, "It is expected to get what you give on average."),
    ],
)
def test_each_bias_has_its_own_wording(label: str, value: float, expected: str) -> None:
    part = ExplanationPart(label, value, "bias")
    assert sentence([part], value, Telling("X", FACTS, exact=True)).text == expected


def test_where_only_the_start_of_a_score_is_left_no_choice_is_named() -> None:
    words = sentence([], 0.4, Telling("X", FACTS, exact=True))
    assert words.text == "No choice of yours leads to it; 30 people chose it."
    nobody = sentence([], 0.4, Telling("X", FACTS, exact=True, has_choices=False))
    assert nobody.text == "X places it here without any choice of yours to go by."


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        (("Sci-Fi, Action", "Drama, Sci-Fi"), "It has Sci-Fi in common with Alien and Heat (60% of its score)."),
        (
            ("Sci-Fi, Action", "Crime, Drama"),
            "It has Sci-Fi and Crime in common with Alien and Heat (60% of its score).",
        ),
        (("Sci-Fi", ""), "Because you chose Alien and Heat (60% of its score)."),
    ],
)
def test_what_the_choices_share_with_an_item_is_its_reason(shared: tuple[str, str], expected: str) -> None:
    parts = [
        ExplanationPart(title, 0.3, "history", title, None, common)
        for title, common in zip(("Alien", "Heat"), shared, strict=True)
    ]
    assert sentence(parts, 1.0, Telling("X", FACTS, exact=True)).text == expected


def test_stated_interests_are_not_called_choices() -> None:
    parts = [ExplanationPart("interest in space", 0.4, "feature"), ExplanationPart("interest in war", 0.1, "feature")]
    words = sentence(parts, 0.5, Telling("X", FACTS, has_choices=False))
    assert words.text == "It matches your interest in space and interest in war."


def test_neighbours_of_a_model_that_reads_ratings_rate_alike() -> None:
    words = sentence([ExplanationPart("person 7", 0.4, "neighbour")], 4.0, Telling("X", FACTS, rating_aware=True))
    assert words.text == "People who rate alike with you gave it more than usual: person 7."


def test_what_the_data_says_of_an_item(trained: Engine) -> None:
    served = trained._session.served("toy-together")
    dataset = served.dataset
    for item in range(dataset.n_items):
        given = dataset.ratings[dataset.items == item]
        facts = item_facts(served, item)
        assert facts.people == len(given)
        assert facts.mean == pytest.approx(given.mean(), abs=1e-4)
        assert facts.overall == pytest.approx(dataset.ratings.mean(), abs=1e-6)


def test_an_item_that_the_person_has_is_said_to_be_in_no_list(trained: Engine) -> None:
    own = trained.history("toy", "00")[0]
    view = trained.explain(ExplainRequest("toy-together", own.item, "00"))
    assert any("among the choices already" in notice for notice in view.notices)
    assert view.confidence is None and view.confidence_interval is None and view.counterfactual is None


def test_a_personal_reason_goes_before_a_general_one() -> None:
    parts = [ExplanationPart("item bias", 3.0, "bias"), ExplanationPart("Heat", 0.3, "history", "1", 4.0)]
    aware = Telling("X", FACTS, exact=True, rating_aware=True)
    assert sentence(parts, 3.3, aware).key == "because-rated"
    next_to_nothing = [replace(parts[0], label="how often it is chosen"), replace(parts[1], value=0.1)]
    assert sentence(next_to_nothing, 3.1, aware).text == "30 people chose it."


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (14.055, "30 people chose it."),
        (0.2, "30 people chose it."),
        (0.1, "Because you chose Heat and Alien (60% of its score)."),
        (-0.2, "Because you chose Heat and Alien."),
    ],
)
def test_choices_are_no_reason_where_what_a_ranker_starts_from_outweighs_them(base: float, expected: str) -> None:
    parts = [ExplanationPart("Heat", 0.1, "history", "1"), ExplanationPart("Alien", 0.08, "history", "2")]
    score = base + 0.18 if base != 0.1 else 0.3
    assert sentence(parts, score, Telling("X", FACTS, exact=True, base=base)).text == expected


def test_a_level_that_a_bias_is_measured_from_is_no_popularity() -> None:
    parts = [
        ExplanationPart("how often it is chosen", -0.3, "bias"),
        ExplanationPart("Heat", 0.2, "history", "1"),
    ]
    assert sentence(parts, 2.9, Telling("X", FACTS, exact=True, base=3.0)).key == "because-chosen"


@pytest.mark.parametrize(
    ("mean", "overall", "expected"),
    [
        (4.6, 3.61, "People rate it 4.6 on average, more than the 3.6 of all items."),
        (4.62, 4.58, "People rate it 4.62 on average, more than the 4.58 of all items."),
        (4.58, 4.62, "People rate it 4.58 on average, no more than the 4.62 of all items."),
        (4.601, 4.602, "People rate it 4.6 on average, about as much as all items."),
        (4.602, 4.601, "People rate it 4.6 on average, about as much as all items."),
        (4.65, 4.6499, "People rate it 4.7 on average, about as much as all items."),
    ],
)
def test_two_means_that_are_set_against_each_other_read_differently(mean: float, overall: float, expected: str) -> None:
    part = ExplanationPart("how this item is rated", 0.01, "bias")
    assert sentence([part], mean, Telling("X", ItemFacts(30, mean, overall), exact=True)).text == expected


def test_who_has_given_no_rating_is_not_told_of_what_they_give() -> None:
    part = ExplanationPart("how this person rates", 0.0, "bias")
    words = sentence([part], 3.6, Telling("X", FACTS, exact=True, predicts_ratings=True, has_ratings=False))
    assert words.text == "It is expected to get what people give on average; X has no rating of yours."


def test_a_sentence_keeps_its_values_apart_from_its_language() -> None:
    words = phrase("because-chosen", items=[{"item": "1", "title": "Heat", "rating": None}], share=0.5)
    assert words.key == "because-chosen" and words.values["share"] == 0.5
    assert words.text == "Because you chose Heat (50% of its score)."


def test_every_recommendation_has_a_sentence_chips_and_who_served_it(trained: Engine) -> None:
    for model in ("toy-together", "toy-silent", "toy-mean", "toy-popular"):
        for item in trained.recommend(RecommendRequest(model, "00", n=24)).items:
            assert item.sentence.text and item.served_by
    answer = trained.recommend(RecommendRequest("toy-together", "00", n=1))
    assert any("Group0: " in chip for chip in answer.items[0].chips)
    group = [entry for entry in trained.history("toy", "00") if int(entry.item) % 3 == 0]
    assert any(chip == f"Group0: {len(group)} of your 8" for chip in answer.items[0].chips)


def test_the_list_of_a_model_that_ignores_the_history_says_so(trained: Engine) -> None:
    for item in trained.recommend(RecommendRequest("toy-popular", "00")).items:
        assert item.sentence.key == "same-for-everybody"


def test_a_model_without_any_score_is_not_said_to_miss_the_items(
    trained: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = trained._session.served("toy-together")
    monkeypatch.setattr(
        served.model, "_score", lambda query, items: np.full((len(query), served.dataset.n_items), np.nan, np.float32)
    )
    query = served.ask("00", None).query
    assert served.rank(query, 3).reasons == ("Toy together gives no score to any item for this history",)
    monkeypatch.setattr(served.model, "known_items_", np.zeros(served.dataset.n_items, dtype=np.bool_))
    assert served.rank(query, 3).reasons == ("Toy together knows none of the items in the history",)


def test_a_sentence_can_leave_the_share_out() -> None:
    whole = phrase("because-features", labels=["Drama", "Crime"], share=0.25)
    assert whole.text == "What speaks for it with you: Drama and Crime (25% of its score)."
    assert without_share(whole) == "What speaks for it with you: Drama and Crime."
    assert without_share(phrase("random")) == "Picked at random."
