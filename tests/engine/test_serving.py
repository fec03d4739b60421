"""Lists for people known, new and imagined; who answers when the model cannot; and what happens to damaged models."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from recsys_desktop.engine import (
    Engine,
    ImportRequest,
    Misuse,
    RecommendRequest,
    ServingFailed,
    TrainRequest,
    UnknownName,
    read_history,
)
from tests.engine import toys


@pytest.fixture
def trained(engine: Engine) -> Engine:
    engine.train(TrainRequest("toy-together", "toy"))
    return engine


def naive_list(engine: Engine, user: str, n: int) -> list[str]:
    """The same list by hand: co-occurrence counts from the data set, seen items out, ties by code."""
    data = engine.dataset("toy")
    chosen: dict[int, set[int]] = {}
    for person, item in zip(data.users.tolist(), data.items.tolist(), strict=True):
        chosen.setdefault(person, set()).add(item)
    seen = chosen[data.user_vocabulary.code(user)]
    scores = {
        item: sum(1 for other in chosen.values() for mine in seen if item in other and mine in other and item != mine)
        for item in range(data.n_items)
        if item not in seen
    }
    order = sorted(scores, key=lambda item: (-scores[item], item))
    return [data.item_vocabulary[item] for item in order[:n]]


def test_the_list_is_what_a_naive_computation_gives(trained: Engine) -> None:
    for user in ("00", "01", "059"):
        answer = trained.recommend(RecommendRequest("toy-together", user, n=7))
        assert [item.item for item in answer.items] == naive_list(trained, user, 7)
        assert [item.rank for item in answer.items] == list(range(1, 8))
        assert all(item.served_by == "toy-together@1" and item.fallback == "" for item in answer.items)
        assert answer.items[0].title.startswith("Title ")
        assert set(answer.items[0].attributes) == {"genres", "year"}


def test_a_list_holds_nothing_twice_and_nothing_seen(trained: Engine) -> None:
    data = trained.dataset("toy")
    for user in data.user_vocabulary:
        answer = trained.recommend(RecommendRequest("toy-together", user, n=50))
        items = [item.item for item in answer.items]
        seen = {entry.item for entry in trained.history("toy", user)}
        assert len(items) == len(set(items)) == data.n_items - len(seen)
        assert not seen & set(items)


def test_seen_items_may_be_asked_for(trained: Engine) -> None:
    seen = {entry.item for entry in trained.history("toy", "00")}
    answer = trained.recommend(RecommendRequest("toy-together", "00", n=24, exclude_seen=False))
    assert seen <= {item.item for item in answer.items}


def test_a_stranger_with_the_same_history_gets_the_same_list(trained: Engine) -> None:
    entries = [(entry.item, entry.rating, entry.timestamp) for entry in trained.history("toy", "07")]
    known = trained.recommend(RecommendRequest("toy-together", "07"))
    stranger = trained.recommend(RecommendRequest("toy-together", history=entries))
    assert [item.item for item in stranger.items] == [item.item for item in known.items]
    assert stranger.person.user is None and not stranger.person.known and stranger.person.n_history == len(entries)
    assert known.person.known


def test_a_what_if_history_replaces_the_users_own(trained: Engine) -> None:
    answer = trained.recommend(RecommendRequest("toy-together", "00", history=[("002", None, None)]))
    assert answer.person.n_history == 1
    assert int(answer.items[0].item) % 3 == 2


def test_items_of_a_history_that_are_unknown_are_named(trained: Engine) -> None:
    answer = trained.recommend(
        RecommendRequest("toy-together", history=[("nothing", 3.0, None), ("000", 4.0, None), ("000", 5.0, None)])
    )
    assert answer.person.n_history == 1
    assert any("1 of 2 items of the history are not in the data: nothing" in notice for notice in answer.notices)


def test_a_history_with_a_rating_outside_the_scale_is_refused(trained: Engine) -> None:
    with pytest.raises(Misuse, match="rates '000' with 99; the ratings of the data run from 1 to 5"):
        trained.recommend(RecommendRequest("toy-together", history=[("000", 99.0, None)]))


def test_somebody_without_history_gets_popularity_and_is_told(trained: Engine) -> None:
    answer = trained.recommend(RecommendRequest("toy-together", history=[], n=5))
    counts = trained.dataset("toy").item_counts
    assert [item.served_by for item in answer.items] == ["popularity"] * 5
    assert all("no history" in item.fallback for item in answer.items)
    assert all(item.confidence is None for item in answer.items)
    assert [item.score for item in answer.items] == sorted(counts.tolist(), reverse=True)[:5]
    assert any("popularity" in notice for notice in answer.notices)


def test_a_model_of_known_users_says_why_it_cannot_serve_a_stranger(engine: Engine) -> None:
    engine.train(TrainRequest("toy-epochs", "toy"))
    answer = engine.recommend(RecommendRequest("toy-epochs", history=[("000", 5.0, None)]))
    assert {item.served_by for item in answer.items} == {"popularity"}
    assert "knows only the people it was trained on" in answer.items[0].fallback


def test_a_model_that_raises_while_serving_is_replaced_by_popularity(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.train(TrainRequest("toy-later", "toy"))
    monkeypatch.setattr(toys.ToyLater, "broken", True)
    answer = engine.recommend(RecommendRequest("toy-later", "00", n=3))
    assert [item.served_by for item in answer.items] == ["popularity"] * 3
    assert "RuntimeError: no answer today" in answer.items[0].fallback


def test_filters_on_categories_numbers_and_texts(trained: Engine) -> None:
    def listed(filters: dict) -> list[int]:
        answer = trained.recommend(RecommendRequest("toy-together", "00", n=24, filters=filters))
        return [int(item.item) for item in answer.items]

    assert all(item % 3 == 1 for item in listed({"genres": "group1"}))
    assert {item % 3 for item in listed({"genres": ["Group1", "Group2"]})} == {1, 2}
    assert all(5 <= item <= 9 for item in listed({"year": (1995, 1999)}))
    assert all(item >= 20 for item in listed({"year": (2010, None)}))
    assert set(listed({"title": "itle 1"})) <= {1, *range(10, 20)}
    assert listed({"genres": "Group1", "year": (1991.0, 1991.0)}) in ([1], [])
    with pytest.raises(UnknownName, match="item column"):
        listed({"genre": "Group1"})
    with pytest.raises(UnknownName, match="Group9"):
        listed({"genres": "Group9"})
    with pytest.raises(Misuse, match="year"):
        listed({"year": "new"})


def test_filtered_lists_are_the_unfiltered_ones_without_the_rest(trained: Engine) -> None:
    whole = trained.recommend(RecommendRequest("toy-together", "00", n=24))
    some = trained.recommend(RecommendRequest("toy-together", "00", n=24, filters={"genres": "Group1"}))
    assert [item.item for item in some.items] == [item.item for item in whole.items if int(item.item) % 3 == 1]


def test_wrong_requests_are_refused(trained: Engine) -> None:
    with pytest.raises(UnknownName, match="user 'nobody'"):
        trained.recommend(RecommendRequest("toy-together", "nobody"))
    with pytest.raises(Misuse, match="for whom"):
        trained.recommend(RecommendRequest("toy-together"))
    with pytest.raises(Misuse, match="at least one"):
        trained.recommend(RecommendRequest("toy-together", "00", n=0))


def test_the_second_time_the_answer_comes_from_the_cache(trained: Engine) -> None:
    request = RecommendRequest("toy-together", "00")
    first, second = trained.recommend(request), trained.recommend(request)
    assert not first.cached and second.cached
    assert first.items == second.items
    other = trained.recommend(RecommendRequest("toy-together", "00", n=3))
    assert not other.cached


def test_a_rating_predictor_lists_by_predicted_rating_and_says_so(engine: Engine) -> None:
    engine.train(TrainRequest("toy-mean", "toy"))
    answer = engine.recommend(RecommendRequest("toy-mean", "00", n=24))
    predicted = [item.predicted_rating for item in answer.items]
    assert predicted == sorted(predicted, reverse=True)
    assert any("predicts ratings" in notice for notice in answer.notices)


def test_lists_for_everybody_equal_the_single_ones(trained: Engine, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "lists.csv"
    out.parent.mkdir()
    written = trained.recommend_all("toy-together", out, 4)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert written.n_rows == len(rows) == 4 * trained.dataset("toy").n_users
    for user in ("00", "033"):
        single = trained.recommend(RecommendRequest("toy-together", user, n=4))
        mine = [row for row in rows if row["user"] == user]
        assert [row["item"] for row in mine] == [item.item for item in single.items]
        assert [int(row["rank"]) for row in mine] == [1, 2, 3, 4]
        assert [float(row["score"]) for row in mine] == [item.score for item in single.items]
    assert list(out.parent.iterdir()) == [out]


def test_predictions_for_pairs_say_who_answered(engine: Engine, tmp_path: Path) -> None:
    engine.train(TrainRequest("toy-mean", "toy"))
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    pairs.write_text("user,item,rating\n00,000,5\nnobody,001,3\n00,nothing,2\nnobody,nothing,\n")
    written = engine.predict("toy-mean", pairs, out)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = engine.dataset("toy")
    assert data.ratings is not None
    mean_of = {
        item: float(data.ratings[data.items == data.item_vocabulary.code(item)].mean()) for item in ("000", "001")
    }
    assert [row["item"] for row in rows] == ["000", "001", "nothing", "nothing"]
    assert float(rows[0]["prediction"]) == pytest.approx(mean_of["000"], rel=1e-5)
    assert float(rows[1]["prediction"]) == pytest.approx(mean_of["001"], rel=1e-5)
    mine = data.ratings[data.users == data.user_vocabulary.code("00")]
    everything = float(data.ratings.mean())
    assert float(rows[2]["prediction"]) == pytest.approx((mine.sum() + 5 * everything) / (len(mine) + 5), rel=1e-5)
    assert float(rows[3]["prediction"]) == pytest.approx(everything, rel=1e-5)
    assert written.fallback_rows == 2 and written.n_rows == 4
    assert list(rows[0]) == ["user", "item", "rating", "prediction", "source"]
    assert [row["source"] for row in rows] == ["toy-mean@1", "toy-mean@1", "user mean", "global mean"]
    assert written.rmse is not None and written.mae is not None
    assert any("user mean" in notice for notice in written.notices)
    assert any("global mean" in notice for notice in written.notices)


def test_predictions_none_of_which_are_the_models_own_are_a_failure(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.train(TrainRequest("toy-mean", "toy"))
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    pairs.write_text("user,item\n00,nothing\nnobody,nothing\n")
    with pytest.raises(ServingFailed, match=r"toy-mean@1 predicts none of the 2 rows of .*pairs.csv"):
        engine.predict("toy-mean", pairs, out)
    pairs.write_text("user,item\n00,000\n")

    def breaks(self, query, items):
        raise ZeroDivisionError("toys break")

    monkeypatch.setattr(toys.ToyMean, "_score", breaks)
    with pytest.raises(ServingFailed, match=r"none of the 1 row of .*toys break"):
        engine.predict("toy-mean", pairs, out)
    assert not out.exists()


def test_a_ranker_is_asked_for_no_ratings(trained: Engine, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("user,item\n00,000\n")
    with pytest.raises(Misuse, match="predicts no ratings"):
        trained.predict("toy-together", pairs, tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "pairs.csv: the file is empty"),
        ("user,title of what it is\na,\n", "no column holds the item .found: user, title of what it is"),
        ("user,item\na,b\na,\n", "line 3: item is missing"),
        ("user,item\na,b\na,b\na\n", "line 4"),
    ],
)
def test_a_pairs_file_that_is_wrong_is_refused_with_its_line(
    engine: Engine, tmp_path: Path, text: str, message: str
) -> None:
    engine.train(TrainRequest("toy-mean", "toy"))
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)
    with pytest.raises(Misuse, match=message):
        engine.predict("toy-mean", pairs, tmp_path / "out.csv")


def test_a_history_file_is_read_with_its_ids_as_text(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("\ufeffItem,rating,timestamp\n007, 4.5 ,100\n8,,\n", encoding="utf-8")
    assert read_history(path) == [("007", 4.5, 100), ("8", None, None)]
    path.write_text("item,rating,timestamp\n1,4,100\n2,,soon\n3,,200\n" + "3,,200\n" * 20)
    with pytest.raises(Misuse, match="line 3, column timestamp: 'soon' is not a time"):
        read_history(path)
    path.write_text("user,item\na,1\nb,2\n")
    with pytest.raises(Misuse, match="holds 2 people"):
        read_history(path)
    path.write_text("item,rating\n1,good\n")
    with pytest.raises(Misuse, match="line 2, column rating: 'good'"):
        read_history(path)
    with pytest.raises(Misuse, match="there is no such file"):
        read_history(tmp_path / "nothing.csv")


def test_interests_that_change_nothing_are_said_to(trained: Engine) -> None:
    answer = trained.recommend(RecommendRequest("toy-together", "00", interests=("jazz",)))
    assert any("interests change nothing" in notice for notice in answer.notices)
    assert trained.recommend(RecommendRequest("toy-together", "00")).notices == ()


def test_files_of_requests_are_read_as_the_data_was(engine: Engine, tmp_path: Path) -> None:
    data = tmp_path / "own.csv"
    rows = "".join(f"u{n % 5};i{n % 7};{n % 5 + 1}\n" for n in range(35))
    data.write_text("wer;was;wie\n" + rows)
    engine.import_data(ImportRequest([data], "own", roles={"wer": "user", "was": "item", "wie": "rating"}))
    engine.train(TrainRequest("toy-mean", "own"))
    assert engine.predict("toy-mean", data, tmp_path / "out.csv").n_rows == 35
    history = tmp_path / "history.csv"
    history.write_text("was;wie\ni1;4,5\ni2;2\n")
    assert engine.read_history("toy-mean", history) == [("i1", 4.5, None), ("i2", 2.0, None)]
    history.write_text("was;wie\ni1;4\ni2;99\n")
    with pytest.raises(Misuse, match="line 3, column wie: 99 is outside the scale of the data, 1 to 5"):
        engine.read_history("toy-mean", history)


def test_similar_items_come_from_the_model_or_from_people_in_common(trained: Engine) -> None:
    trained.train(TrainRequest("toy-popular", "toy"))
    by_model = trained.similar_items("toy-together", "000", 5)
    assert len(by_model) == 5 and all(int(item.item) % 3 == 0 for item in by_model)
    by_people = trained.similar_items("toy-popular", "000", 5)
    assert {item.method for item in by_people} == {"people in common"}
    assert all(int(item.item) % 3 == 0 for item in by_people)
    data = trained.dataset("toy")
    matrix = data.matrix().toarray()
    first = data.item_vocabulary.code(by_people[0].item)
    mine = data.item_vocabulary.code("000")
    cosine = matrix[:, mine] @ matrix[:, first] / np.sqrt(matrix[:, mine].sum() * matrix[:, first].sum())
    assert by_people[0].similarity == pytest.approx(cosine, rel=1e-5)


def damage(engine: Engine, reference: str, how: str) -> None:
    folder = engine.workspace.folder_of(engine.model_record(reference))
    tensors = folder / "tensors.safetensors"
    if how == "cut in half":
        tensors.write_bytes(tensors.read_bytes()[: tensors.stat().st_size // 2])
    elif how == "altered":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(bytes(content))
    elif how == "without manifest":
        (folder / "manifest.json").unlink()


@pytest.mark.parametrize("how", ["cut in half", "altered", "without manifest"])
def test_the_last_good_version_answers_for_a_damaged_one_and_says_so(trained: Engine, how: str) -> None:
    good = trained.recommend(RecommendRequest("toy-together@1", "00"))
    trained.train(TrainRequest("toy-together", "toy", {"weight": 3}))
    damage(trained, "toy-together@2", how)
    answer = trained.recommend(RecommendRequest("toy-together", "00"))
    assert answer.model == "toy-together@1"
    assert [item.item for item in answer.items] == [item.item for item in good.items]
    assert any("toy-together@2 cannot be used" in notice and "toy-together@1" in notice for notice in answer.notices)
    with pytest.raises(ServingFailed, match=r"toy-together@2 cannot be used: .*Ask toy-together@1"):
        trained.recommend(RecommendRequest("toy-together@2", "00"))


def test_a_damaged_model_without_another_version_is_an_error_that_names_the_file(trained: Engine) -> None:
    damage(trained, "toy-together", "cut in half")
    with pytest.raises(ServingFailed, match=r"tensors\.safetensors"):
        trained.recommend(RecommendRequest("toy-together", "00"))


def test_a_model_of_a_newer_state_is_refused_with_advice(trained: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys.ToyTogether, "state_version", 7)
    trained.train(TrainRequest("toy-together", "toy"))
    monkeypatch.setattr(toys.ToyTogether, "state_version", 1)
    answer = trained.recommend(RecommendRequest("toy-together", "00"))
    assert answer.model == "toy-together@1"
    assert any("update the plugin" in notice for notice in answer.notices)


def test_a_model_whose_plugin_is_gone_says_so(trained: Engine) -> None:
    path = trained.workspace.path
    trained.close()
    (path / "plugins").mkdir(exist_ok=True)
    (path / "plugins" / "mine.py").write_text("import nothing_of_the_kind")
    with (
        Engine.open(path, plugins={}) as bare,
        pytest.raises(ServingFailed, match=r"no algorithm 'toy-together'.*'mine' is broken"),
    ):
        bare.recommend(RecommendRequest("toy-together", "00"))


def test_a_model_outlives_its_data_and_travels(trained: Engine, tmp_path: Path) -> None:
    history = [("000", 5.0, None), ("003", 4.0, None)]
    here = trained.recommend(RecommendRequest("toy-together", history=history))
    bundle = trained.export_model("toy-together", tmp_path / "model")
    with Engine.open(tmp_path / "elsewhere", plugins={"toys": toys}) as other:
        record = other.import_model(bundle)
        there = other.recommend(RecommendRequest(record.label, history=history))
        with pytest.raises(ServingFailed, match=r"not in this workspace.*import the data again, or give a history"):
            other.recommend(RecommendRequest(record.label, "00"))
        with pytest.raises(ServingFailed, match="not in this workspace"):
            other.recommend_all(record.label, tmp_path / "lists.csv")
    assert [item.item for item in there.items] == [item.item for item in here.items]
    assert [item.score for item in there.items] == [item.score for item in here.items]
    assert any("is not in this workspace" in notice for notice in there.notices)
