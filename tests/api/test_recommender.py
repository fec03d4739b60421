"""The base class: what it checks for every author, and what it derives."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from recsys_desktop.api import (
    AlgorithmSpec,
    CannotFit,
    CannotServe,
    Capabilities,
    Contribution,
    Dataset,
    Explanation,
    Family,
    Forecast,
    InteractionParams,
    InvalidData,
    Needs,
    NotFitted,
    Params,
    Query,
    Recommender,
    Serves,
    Source,
    Vocabulary,
)
from recsys_desktop.api.testing import made_data


class NoParams(Params):
    pass


class OtherParams(Params):
    pass


PLAIN = AlgorithmSpec(
    id="plain",
    name="Plain",
    family=Family.BASELINE,
    summary="Gives back what a test tells it to.",
    implementation=f"{__name__}:Plain",
    params=NoParams,
    capabilities=Capabilities(serves=Serves.EVERYONE),
)


class Plain(Recommender):
    """Scores are the item codes, or whatever `answer` holds."""

    spec = PLAIN
    answer: ClassVar = None

    def estimate(self, shape):
        return Forecast(1, 0.0)

    def _fit(self, train, run):
        self.fitted_on_ = len(train)

    def _score(self, query, items):
        if self.answer is not None:
            return self.answer
        row = np.arange(self.n_items) if items is None else items
        return np.tile(row.astype(float), (len(query), 1))


def declared(**changes):
    fields = {name: changes.pop(name) for name in list(changes) if name in ("needs", "summary")}
    spec = replace(PLAIN, capabilities=replace(PLAIN.capabilities, **changes), **fields)
    return type("Declared", (Plain,), {"spec": spec})


class CountingParams(InteractionParams):
    pass


DATA = made_data.communities().train
EVERYBODY = Query.of_users(DATA, np.arange(DATA.n_users))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("id", "Plain One", "characters other than"), ("implementation", "plain.Plain", "is not 'module:Class'")],
)
def test_a_malformed_specification_is_refused(field, value, says):
    with pytest.raises(ValueError, match=says):
        replace(PLAIN, **{field: value})


def test_an_implementation_must_be_a_recommender_of_that_id():
    assert PLAIN.load() is Plain
    with pytest.raises(TypeError, match="is not a Recommender"):
        replace(PLAIN, implementation=f"{__name__}:NoParams").load()
    with pytest.raises(TypeError, match="declares itself 'plain'"):
        replace(PLAIN, id="fancy").load()
    with pytest.raises(AttributeError):
        replace(PLAIN, implementation=f"{__name__}:Missing").load()


def test_parameters_of_another_algorithm_are_refused():
    with pytest.raises(TypeError, match="'plain' takes NoParams, not OtherParams"):
        Plain(OtherParams())


@pytest.mark.parametrize(
    ("needs", "data", "says"),
    [
        (
            Needs(),
            made_data.table([(0, 0, 1.0), (0, 1, 2.0)], 3, 3),
            "at least 2 users with 2 items; what it is to be trained on has those of 1 user with 2 items",
        ),
        (Needs(), made_data.table([(0, 0, 1.0), (1, 0, 2.0)], 3, 3), "those of 2 users with 1 item$"),
        (Needs(users=9), made_data.smallest(8, 8), "at least 9 users"),
        (Needs(ratings=True), made_data.without(DATA, "ratings"), "needs ratings"),
        (Needs(timestamps=True), made_data.without(DATA, "timestamps"), "needs timestamps"),
        (Needs(item_content=True), made_data.without(DATA, "item_features"), "needs item titles"),
    ],
)
def test_data_that_lacks_what_is_needed_is_refused_in_words(needs, data, says):
    with pytest.raises(CannotFit, match=says):
        declared(needs=needs)().fit(data)


def test_a_model_of_a_catalogue_needs_no_interactions():
    assert declared(needs=Needs(interactions=False), scores_new_items=True)().fit(made_data.table([], 0, 4)).is_fitted


def test_nothing_answers_before_fit():
    model = declared(explains=True, similar_items=True, updates_live=True, predicts_ratings=True)()
    for ask in (
        lambda: model.score(EVERYBODY),
        lambda: model.predict(EVERYBODY),
        lambda: model.explain(EVERYBODY.take([0]), [0]),
        lambda: model.similar_items(0),
        lambda: model.updated(DATA),
        lambda: model.save(None),
    ):
        with pytest.raises(NotFitted):
            ask()


def test_a_second_fit_forgets_fitted_attributes_and_caches():
    model = Plain().fit(DATA)
    model.extra_, model._cache = 1, 2
    model.fit(DATA)
    assert not hasattr(model, "extra_")
    assert not hasattr(model, "_cache")


def test_unknown_items_are_nan_unless_features_suffice():
    unknown = DATA.item_counts == 0
    scores = Plain().fit(DATA).score(EVERYBODY)
    assert np.isnan(scores[:, unknown]).all()
    assert not np.isnan(scores[:, ~unknown]).any()
    assert not np.isnan(declared(scores_new_items=True)().fit(DATA).score(EVERYBODY)).any()


@pytest.mark.parametrize(
    ("serves", "known_with", "known_without", "stranger_with", "stranger_without"),
    [
        (Serves.EVERYONE, True, True, True, True),
        (Serves.HISTORY, True, False, True, False),
        (Serves.FOLD_IN, True, True, True, False),
        (Serves.KNOWN_USERS, True, True, False, False),
    ],
)
def test_whom_each_way_of_serving_serves(serves, known_with, known_without, stranger_with, stranger_without):
    model = declared(serves=serves)().fit(DATA)

    def served(query):
        return not np.isnan(model.score(query)).all()

    assert served(Query.of_users(DATA, [0])) == known_with
    assert served(Query.of_history([], user=0)) == known_without
    assert served(Query.of_history([1])) == stranger_with
    assert served(Query.of_history([])) == stranger_without
    assert served(Query.of_history([1], user=10_000)) == stranger_with
    idle = int(np.flatnonzero(DATA.user_counts == 0)[0])
    assert served(Query.of_history([1], user=idle)) == stranger_with


@pytest.mark.parametrize("answer", [np.zeros((1, 3)), np.zeros(DATA.n_items), np.zeros((DATA.n_items, 1))])
def test_an_answer_of_the_wrong_shape_is_refused(answer):
    model = type("Misshapen", (Plain,), {"answer": answer})().fit(DATA)
    with pytest.raises(InvalidData, match="answered with shape"):
        model.score(EVERYBODY.take([0]))


def test_read_only_and_integer_answers_become_float32():
    model = type("ReadOnly", (Plain,), {"answer": np.broadcast_to(np.float32(1), (1, DATA.n_items))})().fit(DATA)
    scores = model.score(EVERYBODY.take([0]))
    assert scores.dtype == np.float32
    assert scores.flags.writeable
    whole = type("Whole", (Plain,), {"answer": np.ones((1, DATA.n_items), dtype=np.int64)})().fit(DATA)
    assert whole.score(EVERYBODY.take([0])).dtype == np.float32


@pytest.mark.parametrize("items", [[-1], [DATA.n_items], [[0]]])
def test_items_that_are_no_codes_are_refused(items):
    with pytest.raises(InvalidData, match="items must be codes from 0 to 41"):
        Plain().fit(DATA).score(EVERYBODY, items)


def test_predictions_are_cut_to_the_scale_and_pairs_equal_the_grid(monkeypatch):
    monkeypatch.setattr("recsys_desktop.api.recommender._PAIR_BLOCK", 100)
    model = declared(predicts_ratings=True)().fit(DATA)
    grid = model.predict(EVERYBODY)
    assert np.nanmin(grid) == 1
    assert np.nanmax(grid) == 5
    generator = np.random.default_rng(0)
    people, items = generator.integers(0, len(EVERYBODY), 300), generator.integers(0, DATA.n_items, 300)
    np.testing.assert_array_equal(model.predict_pairs(EVERYBODY, people, items), grid[people, items])
    assert model.predict_pairs(EVERYBODY, people[:0], items[:0]).shape == (0,)


def test_what_is_not_declared_is_refused():
    model = Plain().fit(DATA)
    for ask in (
        lambda: model.predict(EVERYBODY),
        lambda: model.explain(EVERYBODY.take([0]), [0]),
        lambda: model.similar_items(0),
        model.item_embeddings,
        model.user_embeddings,
        lambda: model.updated(DATA),
    ):
        with pytest.raises(CannotServe, match="'plain'"):
            ask()


def test_similar_items_come_from_embeddings_with_ties_by_code():
    class Embedded(declared(similar_items=True, item_embeddings=True)):
        def item_embeddings(self):
            return np.array([[1, 0], [0, 1], [1, 0], [2, 0], [np.nan, np.nan]], dtype=np.float32)

    data = made_data.table([(user, item, 3.0) for user in range(3) for item in range(4)], 3, 5)
    codes, similarities = Embedded().fit(data).similar_items(0, 10)
    assert codes.tolist() == [2, 3, 1]
    np.testing.assert_allclose(similarities, [1, 1, 0])


def test_an_update_extends_what_is_known_and_leaves_the_old_model_alone():
    class Learning(declared(updates_live=True)):
        def _updated(self, additions):
            self.fitted_on_ = self.fitted_on_ + len(additions)

    model = Learning().fit(DATA)
    model._cache = "stale"
    more = replace(
        DATA,
        user_features=None,
        user_vocabulary=DATA.user_vocabulary.extended(["new"]),
        users=[DATA.n_users],
        items=[DATA.n_items - 1],
        ratings=[5.0],
        timestamps=[made_data.START],
    )
    updated = model.updated(more)
    assert updated.fitted_on_ == len(DATA) + 1
    assert model.fitted_on_ == len(DATA)
    assert not hasattr(updated, "_cache")
    assert updated.known_users_[-1]
    assert updated.known_items_[-1]
    assert not model.known_items_[-1]
    assert len(model.known_users_) == DATA.n_users
    with pytest.raises(InvalidData, match="item vocabulary of the additions does not continue"):
        model.updated(replace(more, item_vocabulary=Vocabulary(list(DATA.item_vocabulary)[::-1]), item_features=None))
    with pytest.raises(InvalidData, match="user vocabulary of the additions does not continue"):
        model.updated(Dataset(Vocabulary("a"), DATA.item_vocabulary, [0], [0]))


def test_an_explanation_orders_its_parts_and_states_what_is_left():
    parts = [Contribution(Source.HISTORY, value, code) for code, value in enumerate([0.5, -2.0, 0.0, 1.0])]
    found = Explanation.of(3, 1.0, parts, base=0.25, additive=False, faithful_to_removal=False, method="by hand")
    assert [part.code for part in found.contributions] == [1, 3, 0]
    assert found.residual == pytest.approx(1.0 - 0.25 - (0.5 - 2.0 + 1.0))


def test_ratings_that_count_must_be_of_as_many_people_and_items_as_the_algorithm_needs() -> None:
    counting = type("Counting", (Plain,), {"spec": replace(PLAIN, params=CountingParams)})
    counting(CountingParams(min_rating=5)).fit(DATA)
    with pytest.raises(CannotFit, match="ratings of at least 6 are those of 0 users with 0 items: lower 'min_rating'"):
        counting(CountingParams(min_rating=6)).fit(DATA)
    assert DATA.ratings is not None
    one_loves = np.where(DATA.users == DATA.users[0], DATA.ratings, np.minimum(DATA.ratings, 4))
    with pytest.raises(CannotFit, match="of 1 user with"):
        counting(CountingParams(min_rating=5)).fit(replace(DATA, ratings=one_loves))
    implicit = replace(DATA, ratings=None, rating_scale=None)
    assert counting(CountingParams(min_rating=6)).fit(implicit).is_fitted
