"""AlignedModel: the same answers by external id, whatever codes the data uses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import (
    AlgorithmSpec,
    AlignedModel,
    CannotServe,
    Capabilities,
    Contribution,
    Counterfactual,
    Dataset,
    Explanation,
    Family,
    Forecast,
    Params,
    Query,
    Recommender,
    Serves,
    Source,
    Vocabulary,
)


class NoParams(Params):
    pass


TELLTALE = AlgorithmSpec(
    id="telltale",
    name="Telltale",
    family=Family.BASELINE,
    summary="Scores that tell which ids it was asked about.",
    implementation=f"{__name__}:Telltale",
    params=NoParams,
    capabilities=Capabilities(
        serves=Serves.FOLD_IN, predicts_ratings=True, explains=True, similar_items=True, item_embeddings=True
    ),
)


class Telltale(Recommender):
    """The score of an item is its number, plus 100 for each item of the history, plus 1000 times the user's number."""

    spec = TELLTALE

    def estimate(self, shape):
        return Forecast(1, 0.0)

    def _fit(self, train, run):
        self.numbers_ = np.array([float(item[1:]) for item in train.item_vocabulary])
        self.people_ = np.array([float(user[1:]) for user in train.user_vocabulary])

    def _score(self, query, items):
        numbers = self.numbers_ if items is None else self.numbers_[items]
        history = np.bincount(query.owner, weights=100 + self.numbers_[query.items] / 100, minlength=len(query))
        people = np.where(query.users >= 0, 1000 * self.people_[query.users], 0)
        return numbers + history[:, None] + people[:, None]

    def _explain(self, query, items, scores):
        parts = [
            *(Contribution(Source.HISTORY, 10.0 - place, int(code)) for place, code in enumerate(query.items)),
            Contribution(Source.NEIGHBOUR, 0.5, 1),
            Contribution(Source.FEATURE, 0.25, label="tag"),
        ]
        return [
            replace(
                Explanation.of(item, score, parts, additive=False, faithful_to_removal=False, method="telling"),
                counterfactual=Counterfactual((int(query.items[0]),), 2),
            )
            for item, score in zip(items, scores, strict=True)
        ]

    def _item_similarities(self, item):
        return -np.abs(self.numbers_ - self.numbers_[item])

    def item_embeddings(self):
        return np.column_stack((self.numbers_, -self.numbers_)).astype(np.float32)


def fitted():
    users, items = [f"u{number}" for number in (1, 2, 3)], [f"i{number}" for number in (1, 2, 3, 4, 5)]
    codes = np.arange(15)
    return Telltale().fit(Dataset(Vocabulary(users), Vocabulary(items), codes // 5, codes % 5, codes % 4 + 1.0))


MODEL = fitted()
ids = st.sampled_from([1, 2, 3, 4, 5, 6, 7])


@given(
    st.lists(ids, unique=True, min_size=1),
    st.lists(st.sampled_from([1, 2, 3, 8, 9]), unique=True, min_size=1),
    st.lists(ids, max_size=4),
    st.data(),
)
def test_answers_are_the_same_by_id(items, users, history, choice):
    aligned = AlignedModel(
        MODEL, Vocabulary(f"u{number}" for number in users), Vocabulary(f"i{number}" for number in items)
    )
    history = [number for number in history if number in items]
    user = choice.draw(st.sampled_from(users))
    query = Query.of_history([items.index(number) for number in history], [3.0] * len(history), user=users.index(user))
    scores = aligned.score(query)
    assert scores.shape == (1, len(items))
    known = [number for number in history if number <= 5]
    served = user <= 3 or known
    for code, number in enumerate(items):
        if number > 5 or not served:
            assert np.isnan(scores[0, code])
        else:
            expected = number + sum(100 + item / 100 for item in known) + (1000 * user if user <= 3 else 0)
            assert scores[0, code] == pytest.approx(expected, rel=1e-6)
    chosen = choice.draw(st.lists(st.integers(0, len(items) - 1), max_size=5))
    np.testing.assert_array_equal(aligned.score(query, np.array(chosen, dtype=int)), scores[:, chosen])


def other_codes():
    return AlignedModel(MODEL, Vocabulary(["u9", "u3", "u1"]), Vocabulary(["i7", "i5", "i3", "i2", "i1"]))


def test_the_same_vocabulary_is_passed_straight_through():
    aligned = AlignedModel(MODEL, MODEL.user_vocabulary, Vocabulary(list(MODEL.item_vocabulary)))
    query = Query.of_history([0, 4], [3, 4], user=1)
    assert aligned.query(query) is query
    np.testing.assert_array_equal(aligned.score(query), MODEL.score(query))
    assert aligned.explain(query, [1]) == MODEL.explain(query, [1])


def test_a_code_beyond_the_vocabulary_is_a_stranger():
    aligned = other_codes()
    query = Query.of_history([2], [5], user=7)
    np.testing.assert_array_equal(aligned.score(query), aligned.score(query.as_strangers()))


def test_predictions_and_pairs_agree_by_id():
    aligned = other_codes()
    query = Query(np.array([1, 2]), np.array([0, 1, 1]), np.array([4]), np.array([3.0]))
    people, items = np.array([0, 1, 1, 0]), np.array([0, 1, 4, 2])
    grid = aligned.predict(query)
    np.testing.assert_array_equal(aligned.predict_pairs(query, people, items), grid[people, items])
    assert np.isnan(grid[:, 0]).all()
    only_unknown = aligned.predict_pairs(query, np.array([0]), np.array([0]))
    assert np.isnan(only_unknown).all()


def test_explanations_speak_in_the_codes_of_the_data():
    aligned = other_codes()
    (found,) = aligned.explain(Query.of_history([2, 3], [5, 4], user=1), [4])
    assert aligned.items[found.item] == "i1"
    history = [part for part in found.contributions if part.kind is Source.HISTORY]
    assert [aligned.items[part.code] for part in history] == ["i3", "i2"]
    neighbour = next(part for part in found.contributions if part.kind is Source.NEIGHBOUR)
    assert (neighbour.code, neighbour.label) == (-1, "u2")
    assert next(part for part in found.contributions if part.kind is Source.FEATURE).label == "tag"
    assert [aligned.items[code] for code in found.counterfactual.removed] == ["i3"]
    assert aligned.items[found.counterfactual.instead] == "i3"


def test_what_the_model_does_not_know_is_not_explained_or_compared():
    aligned = other_codes()
    with pytest.raises(CannotServe, match="added after it was trained"):
        aligned.explain(Query.of_history([2], [5]), [1, 0])
    with pytest.raises(CannotServe, match="does not know item 'i7'"):
        aligned.similar_items(0)


def test_similar_items_leave_out_what_the_data_lacks():
    codes, similarities = other_codes().similar_items(1, 3)
    # i5 is nearest to i4, which the data lacks; then i3, i2, i1.
    assert [other_codes().items[code] for code in codes] == ["i3", "i2", "i1"]
    assert similarities.tolist() == [-2, -3, -4]
    assert len(other_codes().similar_items(1, 2)[0]) == 2


def test_embeddings_have_a_row_for_each_item_of_the_data():
    embeddings = other_codes().item_embeddings()
    np.testing.assert_array_equal(embeddings[:, 0], [np.nan, 5, 3, 2, 1])
