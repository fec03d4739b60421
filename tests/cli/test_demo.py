"""The demo: the real sample, from file to explained recommendations."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_desktop.engine import Engine
from recsys_desktop.engine.demo import brief_params, demo_algorithms
from tests.cli.conftest import Run


@pytest.mark.slow
def test_the_demo_takes_the_sample_to_explained_recommendations(run: Run, tmp_path: Path) -> None:
    done = run("demo", "--algorithms", "popularity,ease,item-knn", "--user", "15", "--json")
    assert done.code == 0, done.err
    document = done.document
    ndcg = {row["algorithm"]: row["figures"]["ndcg"]["value"] for row in document["comparison"]["rows"]}
    assert ndcg["ease"] > ndcg["item-knn"] > ndcg["popularity"]
    items = document["recommendations"]["items"]
    assert len(items) == 10
    assert all(item["title"] and item["sentence"]["text"] and item["confidence"] is not None for item in items)
    assert document["recommendations"]["person"]["user"] == "15"
    for place in ("workspace", "report", "model_folder"):
        assert Path(document[place]).is_dir() and str(tmp_path) in document[place]
    again = run("recommend", document["model"], "--user", "15", "--json").document
    assert [item["item"] for item in again["items"]] == [item["item"] for item in items]
    shown = run("demo", "--algorithms", "popularity,ease", "--user", "15").out
    for said in ("100,004 ratings", "NDCG@10", "Because you chose", "Everything is kept in the workspace"):
        assert said in shown
    assert run("data", "list", "--json").document["datasets"][0]["extra"]["sample"] == "movielens-small"
    assert len(run("data", "list", "--json").document["datasets"]) == 1


@pytest.mark.slow
def test_the_demo_has_an_algorithm_of_every_family(tmp_path: Path) -> None:
    with Engine.open(tmp_path) as engine:
        record = engine.import_sample("movielens-small")
        chosen = demo_algorithms(engine.registry, engine.dataset(record.fingerprint))
        families = [engine.registry.spec(algorithm).family for algorithm in chosen]
        assert len(set(families)) == len(families) >= 6
        assert all(engine.registry.spec(algorithm).capabilities.ranks for algorithm in chosen)
        neural = next(algorithm for algorithm in chosen if engine.registry.spec(algorithm).family == "Neural")
        assert brief_params(engine.registry, [neural])[neural]["epochs"] < 15
        assert brief_params(engine.registry, ["ease"]) == {}
