"""The sentences of every shipped algorithm name a reason that its own numbers bear out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_desktop.api.algorithm import AlgorithmSpec, Serves
from recsys_desktop.api.explanation import Source
from recsys_desktop.engine import Engine, ExplainRequest, ImportRequest, RecommendRequest, TrainRequest
from recsys_desktop.engine.plugins import Registry
from recsys_desktop.engine.results import Recommendation

PEOPLE = ("00", "01", "05")
ALGORITHMS = tuple(Registry.discover(safe_mode=True).algorithms.values())
NAMES_CHOICES = ("because-chosen", "because-rated", "because-alike")
OF_EVERYBODY = ("chosen-by", "chosen-lately", "rated-higher", "rated-lower", "rated-alike", "same-for-everybody")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, toy_files: tuple[Path, Path]) -> Iterator[Engine]:
    """An engine with the algorithms that travel with the application, and the toy data."""
    ratings, items = toy_files
    with Engine.open(tmp_path_factory.mktemp("shipped"), safe_mode=True, threads=1) as opened:
        opened.import_data(ImportRequest([ratings], "toy", [items]))
        yield opened


@pytest.fixture(scope="module", params=ALGORITHMS, ids=lambda spec: spec.id)
def listed(
    shipped: Engine, request: pytest.FixtureRequest
) -> tuple[AlgorithmSpec, dict[str, tuple[Recommendation, ...]]]:
    """An algorithm, and the whole list of each of the people with its explanations."""
    spec: AlgorithmSpec = request.param
    brief = {"epochs": 5} if "epochs" in spec.params.model_fields else {}
    shipped.train(TrainRequest(spec.id, "toy", params=brief))
    lists = {
        person: shipped.recommend(RecommendRequest(spec.id, person, n=24, explain=spec.capabilities.explains)).items
        for person in PEOPLE
    }
    return spec, lists


def test_choices_are_named_only_where_they_speak_for_the_item(
    listed: tuple[AlgorithmSpec, dict[str, tuple[Recommendation, ...]]], shipped: Engine
) -> None:
    _, lists = listed
    for person, items in lists.items():
        history = {entry.title: entry.rating for entry in shipped.history("toy", person)}
        for item in items:
            assert "history" not in item.sentence.text
            if item.sentence.key not in NAMES_CHOICES:
                continue
            assert item.explanation is not None
            speaking = {part.label for part in item.explanation.parts if part.kind == Source.HISTORY and part.value > 0}
            for named in item.sentence.values["items"]:
                assert named["title"] in speaking
                assert named["rating"] in (None, history[named["title"]])


def test_nothing_is_said_against_the_first_of_a_list(
    listed: tuple[AlgorithmSpec, dict[str, tuple[Recommendation, ...]]],
) -> None:
    _, lists = listed
    for items in lists.values():
        assert items[0].sentence.text.endswith(".")
        assert "against" not in items[0].sentence.text
        assert items[0].sentence.key not in ("more-speaks-against-it", "rated-lower", "chosen-by-others")


def test_only_models_that_read_ratings_speak_of_rating(
    listed: tuple[AlgorithmSpec, dict[str, tuple[Recommendation, ...]]],
) -> None:
    spec, lists = listed
    texts = [item.sentence.text.lower() for items in lists.values() for item in items]
    assert not any(word in text for text in texts for word in ("loved", "liked", "enjoyed", "hated"))
    if not spec.capabilities.uses_ratings:
        assert not any("rate" in text for text in texts)


def test_a_model_that_serves_everybody_alike_claims_nothing_of_the_person(
    listed: tuple[AlgorithmSpec, dict[str, tuple[Recommendation, ...]]],
) -> None:
    spec, lists = listed
    keys = {item.sentence.key for items in lists.values() for item in items}
    if spec.capabilities.serves is Serves.EVERYONE:
        assert keys <= set(OF_EVERYBODY)
    else:
        assert "same-for-everybody" not in keys


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("random", {"random"}),
        ("popularity", {"chosen-by"}),
        ("recent-popularity", {"chosen-lately"}),
        ("item-mean", {"rated-higher"}),
        ("bias", {"rated-higher"}),
        ("global-mean", {"same-for-everybody"}),
        ("user-mean", {"own-average"}),
        ("user-knn", {"because-people"}),
        ("user-knn-rating", {"because-raters"}),
        ("ease", {"because-chosen"}),
        ("content", {"because-alike"}),
        ("item-knn-rating", {"because-rated"}),
        ("weighted-hybrid", {"because-chosen"}),
    ],
)
def test_the_first_of_a_list_has_the_reason_of_its_algorithm(
    shipped: Engine, algorithm: str, expected: set[str]
) -> None:
    shipped.train(TrainRequest(algorithm, "toy"))
    for person in PEOPLE:
        first = shipped.recommend(RecommendRequest(algorithm, person, n=1)).items[0]
        assert first.sentence.key in expected


def test_neighbours_are_not_named_where_popularity_is_nearly_the_whole_score(shipped: Engine) -> None:
    shipped.train(TrainRequest("user-knn", "toy", {"popularity": 100, "neighbours": 2}))
    for person in PEOPLE:
        first = shipped.recommend(RecommendRequest("user-knn", person, n=1, explain=True)).items[0]
        assert first.sentence.key != "because-people"


def test_choices_are_not_named_where_a_ranker_starts_higher_than_they_lift_it(
    listed: tuple[AlgorithmSpec, dict[str, tuple[Recommendation, ...]]],
) -> None:
    spec, lists = listed
    if spec.capabilities.predicts_ratings:
        return
    for items in lists.values():
        for item in items:
            view = item.explanation
            biased = view is not None and any(part.kind == Source.BIAS for part in view.parts)
            if item.sentence.key in NAMES_CHOICES and view is not None and view.exact and not biased:
                assert view.base <= max(sum(part.value for part in view.parts), 0) + 1e-9


def test_a_rating_model_starts_from_a_mean_which_does_not_outweigh_choices(shipped: Engine) -> None:
    shipped.train(TrainRequest("svd", "toy"))
    view = shipped.recommend(RecommendRequest("svd", "00", n=1, explain=True)).items[0].explanation
    assert view is not None and view.base > 3
    assert view.sentence.key != "chosen-by"


def test_a_mean_of_a_history_without_ratings_is_not_the_persons_own(shipped: Engine) -> None:
    shipped.train(TrainRequest("user-mean", "toy"))
    view = shipped.explain(ExplainRequest("user-mean", "003", history=[("000", None, None)]))
    assert view.sentence.key == "overall-average"
    shipped.train(TrainRequest("item-knn-rating", "toy"))
    for entry, told in ((("000", None, None), False), (("000", 5.0, None), True)):
        words = shipped.explain(ExplainRequest("item-knn-rating", "003", history=[entry])).sentence
        assert ("you rated" in words.text) == told


@pytest.mark.parametrize("algorithm", ["ncf", "ncf-rating", "fm", "deepfm"])
def test_learnt_vectors_claim_no_more_than_their_parts(shipped: Engine, algorithm: str) -> None:
    shipped.train(TrainRequest(algorithm, "toy", params={"epochs": 5}))
    catalogue = shipped.dataset("toy").item_vocabulary.ids
    for person in PEOPLE:
        for item in catalogue:
            view = shipped.explain(ExplainRequest(algorithm, str(item), person))
            told = view.sentence
            assert "you rated" not in told.text
            assert not any("moment" in part.label for part in view.parts)
            labels = [part.label for part in view.parts if part.kind == Source.FEATURE]
            assert len(labels) == len(set(labels))
            if told.key in ("because-features", "low-labels"):
                values = {part.label: part.value for part in view.parts if part.kind == Source.FEATURE}
                assert all(values[label] > 0 for label in told.values["labels"])
            if told.key in NAMES_CHOICES:
                of_history = sum(part.value for part in view.parts if part.kind == Source.HISTORY)
                assert abs(of_history) > abs(view.residual)


def test_the_count_of_popularity_is_that_of_the_data(shipped: Engine) -> None:
    shipped.train(TrainRequest("popularity", "toy"))
    first = shipped.recommend(RecommendRequest("popularity", "00", n=1)).items[0]
    found = {match.item: match.n_interactions for match in shipped.search_items("toy", first.title)}
    assert first.sentence.text == f"{found[first.item]} people chose it."


def test_who_has_chosen_nothing_hears_of_interests(shipped: Engine) -> None:
    shipped.train(TrainRequest("content", "toy"))
    answer = shipped.recommend(RecommendRequest("content", history=[], interests=("Group0",), n=1))
    assert answer.items[0].sentence.text.startswith("It matches your interest in Group0")
