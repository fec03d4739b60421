"""Evaluation: figures equal to an independent recomputation, failures that cost nothing else, files for scripts."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from recsys_desktop.api import InvalidParameter, RecSysError
from recsys_desktop.engine import (
    Cancelled,
    Comparison,
    Engine,
    EngineError,
    EngineRun,
    EvaluateRequest,
    ImportRequest,
    Misuse,
    UnknownName,
    evaluating,
    fitting,
)
from recsys_desktop.evaluation import significance
from tests.engine import toys

ALGORITHMS = ["toy-popular", "toy-together", "toy-mean"]


@pytest.fixture
def parts(engine: Engine, tmp_path: Path) -> dict[str, Path]:
    """train.csv and test.csv: every fourth rating is for testing; one test user and one test item are new."""
    data = engine.dataset("toy")
    assert data.ratings is not None
    paths = {name: tmp_path / f"{name}.csv" for name in ("train", "test")}
    rows: dict[str, list[tuple]] = {"train": [], "test": []}
    for position in range(len(data)):
        part = "test" if position % 4 == 0 else "train"
        rows[part].append(
            (
                data.user_vocabulary[int(data.users[position])],
                data.item_vocabulary[int(data.items[position])],
                data.ratings[position],
            )
        )
    rows["test"] += [("stranger", "000", 4.0), ("01", "brand-new", 2.0)]
    for name, path in paths.items():
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user", "item", "rating"])
            writer.writerows(rows[name])
    return paths


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def naive_figures(lists: dict[str, list[str]], relevant: dict[str, set[str]], k: int) -> dict[str, float]:
    """The ranking metrics by their textbook definitions, user by user."""
    sums: dict[str, list[float]] = defaultdict(list)
    for user, held_out in relevant.items():
        hits = [item in held_out for item in lists.get(user, [])[:k]]
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, len(held_out))))
        sums["ndcg"].append(sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits) if hit) / ideal)
        sums["recall"].append(sum(hits) / len(held_out))
        sums["precision"].append(sum(hits) / k)
        sums["hit-rate"].append(float(any(hits)))
        sums["mrr"].append(next((1 / (rank + 1) for rank, hit in enumerate(hits) if hit), 0.0))
        found = 0
        average = 0.0
        for rank, hit in enumerate(hits):
            found += hit
            average += hit * found / (rank + 1)
        sums["map"].append(average / min(k, len(held_out)))
    return {name: sum(values) / len(values) for name, values in sums.items()}


@pytest.fixture
def comparison(engine: Engine, parts: dict[str, Path], tmp_path: Path) -> Comparison:
    return engine.evaluate(
        EvaluateRequest(ALGORITHMS, train=parts["train"], test=parts["test"], k=5, out=tmp_path / "report")
    )


def test_figures_equal_an_independent_recomputation_from_the_files(
    comparison: Comparison, parts: dict[str, Path]
) -> None:
    assert comparison.folder is not None
    relevant: dict[str, set[str]] = defaultdict(set)
    for row in read(parts["test"]):
        relevant[row["user"]].add(row["item"])
    seen: dict[str, set[str]] = defaultdict(set)
    for row in read(parts["train"]):
        seen[row["user"]].add(row["item"])
    for name in ("toy-popular", "toy-together"):
        lists: dict[str, list[str]] = defaultdict(list)
        for row in read(comparison.folder / "recommendations" / f"{name}.csv"):
            assert int(row["rank"]) == len(lists[row["user"]]) + 1
            lists[row["user"]].append(row["item"])
        assert set(lists) == set(relevant)
        for user, listed in lists.items():
            assert len(listed) == len(set(listed)) and not seen[user] & set(listed)
        figures = next(row.figures for row in comparison.rows if row.algorithm == name)
        for metric, value in naive_figures(lists, relevant, 5).items():
            assert figures[metric].value == pytest.approx(value, abs=1e-12), (name, metric)
            assert figures[metric].low <= value <= figures[metric].high
        everything = {item for listed in lists.values() for item in listed}
        assert figures["coverage"].value == pytest.approx(len(everything) / comparison.settings["catalogue"])
    catalogue = {row["item"] for path in parts.values() for row in read(path)}
    assert comparison.settings["catalogue"] == len(catalogue)


def test_rating_figures_equal_an_independent_recomputation(comparison: Comparison, parts: dict[str, Path]) -> None:
    assert comparison.folder is not None
    rows = read(comparison.folder / "predictions" / "toy-mean.csv")
    assert [(row["user"], row["item"]) for row in rows] == [(row["user"], row["item"]) for row in read(parts["test"])]
    errors = np.array([float(row["prediction"]) - float(row["rating"]) for row in rows])
    row = next(row for row in comparison.rows if row.algorithm == "toy-mean")
    assert row.figures["rmse"].value == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
    assert row.figures["mae"].value == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    assert "ndcg" not in row.figures and not (comparison.folder / "recommendations" / "toy-mean.csv").exists()
    assert row.fallback_predictions == 1
    train = defaultdict(list)
    for entry in read(parts["train"]):
        train[entry["item"]].append(float(entry["rating"]))
    checked = next(entry for entry in rows if entry["item"] in train)
    assert float(checked["prediction"]) == pytest.approx(np.mean(train[checked["item"]]), rel=1e-5)


def test_lists_equal_a_naive_ranking(comparison: Comparison, parts: dict[str, Path]) -> None:
    chosen: dict[str, list[str]] = defaultdict(list)
    items: list[str] = []
    for path in parts.values():
        for row in read(path):
            if row["item"] not in items:
                items.append(row["item"])
    for row in read(parts["train"]):
        chosen[row["user"]].append(row["item"])
    user = "07"
    counts = {
        item: sum(
            1 for other in chosen.values() for mine in chosen[user] if {item, mine} <= set(other) and item != mine
        )
        for item in items
        if item not in chosen[user]
    }
    expected = sorted(counts, key=lambda item: (-counts[item], items.index(item)))[:5]
    assert comparison.folder is not None
    rows = read(comparison.folder / "recommendations" / "toy-together.csv")
    assert [row["item"] for row in rows if row["user"] == user] == expected


def test_the_unknown_user_is_judged_by_the_fallback_and_it_is_said(comparison: Comparison) -> None:
    row = next(row for row in comparison.rows if row.algorithm == "toy-together")
    assert row.fallback_users == 1 and "stranger" in comparison.users
    assert any("popularity answers for 1 of" in notice for notice in comparison.notices)
    assert comparison.folder is not None
    rows = read(comparison.folder / "recommendations" / "toy-together.csv")
    assert {entry["score"] for entry in rows if entry["user"] == "stranger"} == {""}


def test_ties_are_worth_a_word_where_a_personal_model_has_many(comparison: Comparison) -> None:
    said = {notice.split(":")[0] for notice in comparison.notices if "broken by item order" in notice}
    ties = {row.name: row.tied_lists for row in comparison.rows}
    assert ties["Toy popular"] > 0 and "Toy popular" not in said, "all lists of a model that serves everybody are alike"
    assert ("Toy together" in said) == (ties["Toy together"] > 0.05 * len(comparison.users))
    assert ties["Toy together"] > 0


def test_the_files_of_a_report_are_complete_and_agree(comparison: Comparison) -> None:
    assert comparison.folder is not None
    document = json.loads((comparison.folder / "metrics.json").read_text())
    assert (document["schema"], document["version"]) == ("recsys-desktop/metrics", 1)
    rows = {row["algorithm"]: row for row in document["rows"]}
    assert set(rows) == set(ALGORITHMS)
    per_user = read(comparison.folder / "per_user.csv")
    for row in comparison.rows:
        mine = [entry for entry in per_user if entry["algorithm"] == row.algorithm]
        assert [entry["user"] for entry in mine] == list(comparison.users)
        for metric, figure in row.figures.items():
            assert rows[row.algorithm]["figures"][metric]["value"] == figure.value
        if "ndcg" in row.figures:
            mean = np.mean([float(entry["ndcg"]) for entry in mine])
            assert mean == pytest.approx(row.figures["ndcg"].value)
        assert row.fit_seconds is not None and row.size_bytes and row.peak_memory_bytes is not None


def test_the_workspace_keeps_the_comparison(engine: Engine) -> None:
    made = engine.evaluate(EvaluateRequest(ALGORITHMS, data="toy", split="random", k=5))
    assert made.evaluation_id is not None and made.folder is not None and (made.folder / "metrics.json").is_file()
    assert (made.folder / "recommendations" / "toy-popular.csv").is_file()
    again = engine.comparison(made.evaluation_id)
    assert again.metrics == made.metrics and again.users == made.users and again.conclusion == made.conclusion
    for before, after in zip(made.rows, again.rows, strict=True):
        assert before.figures == after.figures and before.state == after.state and before.best == after.best
        assert set(before.per_user) == set(after.per_user)
        for metric, values in before.per_user.items():
            np.testing.assert_array_equal(values, after.per_user[metric])
    records = engine.workspace.metrics(engine.workspace.evaluation(made.evaluation_id))
    assert {(record.algorithm, record.metric) for record in records} == {
        (row.algorithm, metric) for row in made.rows for metric in row.figures
    }
    run = engine.runs()[0]
    assert run.kind == "evaluate" and run.state == "done" and run.result["evaluation"] == made.evaluation_id


def test_what_fails_gets_a_row_that_says_why_and_the_rest_go_on(engine: Engine) -> None:
    made = engine.evaluate(
        EvaluateRequest(
            ["toy-raises", "toy-shape", "toy-together", "toy-popular"],
            data="toy",
            params={"toy-together": {"memory": 1e16}},
        )
    )
    states = {row.algorithm: (row.state, row.reason) for row in made.rows}
    assert states["toy-popular"] == ("done", "")
    assert states["toy-raises"][0] == "failed" and "ZeroDivisionError: toys break" in states["toy-raises"][1]
    assert states["toy-shape"][0] == "failed" and "shape" in states["toy-shape"][1]
    assert states["toy-together"][0] == "failed" and "toy-popular" in states["toy-together"][1]
    assert engine.runs()[0].state == "done"
    assert sum("failed" in notice for notice in made.notices) == 3


def test_an_algorithm_in_epochs_sees_no_test_data_and_is_refitted_on_everything(
    engine: Engine, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool, int | None]] = []
    fit = toys.ToyEpochs._fit

    def spy(self, train, run):
        seen.append((len(train), run.validates, run.epochs))
        fit(self, train, run)

    monkeypatch.setattr(fitting, "warm_up", lambda *_: None)
    monkeypatch.setattr(toys.ToyEpochs, "_fit", spy)
    made = engine.evaluate(EvaluateRequest(["toy-epochs"], train=parts["train"], test=parts["test"]))
    n_train = len(read(parts["train"]))
    assert made.rows[0].state == "done"
    (trial, validates, _), (final, refit_validates, epochs) = seen
    assert validates and trial < n_train and trial >= 0.85 * n_train - 60
    assert not refit_validates and final == n_train and epochs == made.rows[0].epochs is not None


def test_a_given_validation_part_is_used_and_then_trained_on(
    engine: Engine, parts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read(parts["train"])
    for name, chosen in (("fit", rows[30:]), ("valid", rows[:30])):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["user", "item", "rating"])
            writer.writeheader()
            writer.writerows(chosen)
    seen: list[int] = []
    fit = toys.ToyEpochs._fit
    monkeypatch.setattr(fitting, "warm_up", lambda *_: None)
    monkeypatch.setattr(
        toys.ToyEpochs, "_fit", lambda self, train, run: (seen.append(len(train)), fit(self, train, run))
    )
    request = EvaluateRequest(
        ["toy-epochs", "toy-together"],
        train=tmp_path / "fit.csv",
        valid=tmp_path / "valid.csv",
        test=parts["test"],
        out=tmp_path / "with-validation",
    )
    made = engine.evaluate(request)
    assert seen == [len(rows) - 30, len(rows)]
    whole = engine.evaluate(
        EvaluateRequest(["toy-together"], train=parts["train"], test=parts["test"], out=tmp_path / "whole")
    )
    assert made.rows[1].figures["ndcg"].value == pytest.approx(whole.rows[0].figures["ndcg"].value, abs=0.05)
    lists = read(tmp_path / "with-validation" / "recommendations" / "toy-together.csv")
    known = {(row["user"], row["item"]) for row in rows}
    assert not known & {(row["user"], row["item"]) for row in lists}


def test_equal_algorithms_cannot_be_told_apart_and_a_worse_one_can(engine: Engine) -> None:
    made = engine.evaluate(EvaluateRequest(["toy-together", "toy-silent", "toy-popular"], data="toy", k=5))
    best = {row.algorithm: row.best for row in made.rows}
    assert best["toy-together"] and best["toy-silent"] and not best["toy-popular"]
    assert "cannot be told from it" in made.conclusion


def test_the_winner_by_an_error_is_said_to_be_better_not_larger(engine: Engine) -> None:
    made = engine.evaluate(EvaluateRequest(["toy-mean", "toy-constant"], data="toy", metrics=["rmse"]))
    figures = {row.algorithm: row.figures["rmse"].value for row in made.rows}
    assert figures["toy-mean"] < figures["toy-constant"]
    assert made.conclusion == (
        f"Toy mean has the best RMSE ({figures['toy-mean']:.4f}); every other algorithm is significantly worse."
    )


def test_on_data_without_ratings_every_rating_model_is_not_run_for_one_reason(engine: Engine, tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    with plain.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item"])
        writer.writerows((f"u{n % 30}", f"i{(n * n + n // 30) % 17}") for n in range(240))
    engine.import_data(ImportRequest([plain], "plain"))
    made = engine.evaluate(EvaluateRequest(["toy-mean", "toy-listing", "toy-popular"], data="plain"))
    states = {row.algorithm: (row.state, row.reason) for row in made.rows}
    assert states["toy-popular"] == ("done", "")
    assert states["toy-mean"] == states["toy-listing"] == ("not run", "the data have no ratings")
    of_errors = engine.evaluate(EvaluateRequest(["toy-mean", "toy-popular"], data="plain", metrics=["ndcg"]))
    assert of_errors.rows[0].reason == "the data have no ratings"
    unasked = engine.evaluate(EvaluateRequest(["toy-mean", "toy-popular"], data="toy", metrics=["ndcg"]))
    assert unasked.rows[0].reason == "it only predicts ratings, and ratings are not judged here"


def test_the_same_seed_repeats_the_comparison(engine: Engine) -> None:
    request = EvaluateRequest(["toy-epochs", "toy-together"], data="toy", seed=3)
    first, second = engine.evaluate(request), engine.evaluate(request)
    for before, after in zip(first.rows, second.rows, strict=True):
        assert before.figures == after.figures


def test_wrong_requests_are_refused_before_anything_is_fitted(engine: Engine, parts: dict[str, Path]) -> None:
    runs = len(engine.runs())
    for request, error, message in (
        (EvaluateRequest([], data="toy"), Misuse, "at least one"),
        (EvaluateRequest(["toy-x"], data="toy"), UnknownName, "algorithm 'toy-x'"),
        (EvaluateRequest(["toy-popular"], data="toy", split="magic"), UnknownName, "split 'magic'"),
        (EvaluateRequest(["toy-popular"], data="toy", split_params={"x": 1}), InvalidParameter, "x"),
        (EvaluateRequest(["toy-popular"]), Misuse, "what to evaluate on"),
        (EvaluateRequest(["toy-popular"], train=parts["train"]), Misuse, "training and a test file"),
        (EvaluateRequest(["toy-popular"], data="toy", train=parts["train"]), Misuse, "not both"),
        (EvaluateRequest(["toy-popular"], data="toy", k=0), Misuse, "k is"),
        (EvaluateRequest(["toy-popular"], data="toy", params={"toy-mean": {}}), Misuse, "toy-mean"),
        (
            EvaluateRequest(["toy-together"], data="toy", params={"toy-together": {"weight": -1}}),
            InvalidParameter,
            "weight",
        ),
        (EvaluateRequest(["toy-popular"], data="toy", metrics=["accuracy"]), UnknownName, "metric 'accuracy'"),
    ):
        with pytest.raises(error, match=message):
            engine.evaluate(request)
    assert len(engine.runs()) == runs


def test_chosen_metrics_only(engine: Engine) -> None:
    made = engine.evaluate(EvaluateRequest(["toy-popular"], data="toy", metrics=["mrr"]))
    assert set(made.rows[0].figures) == {"mrr"} and [column.id for column in made.metrics] == ["mrr"]


def test_cancelling_keeps_nothing(engine: Engine) -> None:
    run = EngineRun()

    def stop(fraction: float, text: str) -> None:
        if "judging" in text or fraction > 0.3:
            run.stop("discard")

    run._on_progress = stop
    with pytest.raises(Cancelled):
        engine.evaluate(EvaluateRequest(["toy-popular", "toy-together", "toy-epochs"], data="toy"), run)
    assert engine.evaluations() == [] and engine.runs()[0].state == "cancelled"


def test_all_figures_of_the_same_users_are_drawn_at_once_and_cancelling_ends_the_draws(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = EngineRun()
    drawn = []
    resampled = significance.resampled_means

    def stop_after_the_first(values, *more):
        means = resampled(values, *more)
        drawn.append(values.shape[1])
        run.stop("discard")
        return means

    monkeypatch.setattr(significance, "resampled_means", stop_after_the_first)
    with pytest.raises(Cancelled):
        engine.evaluate(EvaluateRequest(["toy-popular", "toy-together"], data="toy"), run)
    assert len(drawn) == 1 and drawn[0] > 4


def test_cancelling_while_the_best_is_looked_for_ends_the_draws(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = EngineRun()
    compared = evaluating.compared

    def stop_before(*arguments):
        run.stop("discard")
        return compared(*arguments)

    monkeypatch.setattr(evaluating, "compared", stop_before)
    with pytest.raises(Cancelled):
        engine.evaluate(EvaluateRequest(["toy-popular", "toy-together"], data="toy"), run)


def test_cancelling_does_not_wait_for_the_predictions_of_everybody(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = EngineRun()
    asked = []
    predict = toys.ToyMean._score

    def stop_at_the_first_block(self, query, items):
        if len(query) > 1:
            asked.append(len(query))
            run.stop("discard")
        return predict(self, query, items)

    monkeypatch.setattr(fitting, "PEOPLE_AT_ONCE", 8)
    monkeypatch.setattr(toys.ToyMean, "_score", stop_at_the_first_block)
    with pytest.raises(Cancelled):
        engine.evaluate(EvaluateRequest(["toy-mean"], data="toy"), run)
    assert asked == [8]


def test_stop_and_keep_before_there_is_a_model_leaves_a_row_that_was_not_run(engine: Engine) -> None:
    run = EngineRun()
    run._on_progress = lambda fraction, text: run.stop("keep") if "trying" in text else None
    made = engine.evaluate(EvaluateRequest(["toy-popular", "toy-trying"], data="toy"), run)
    assert [row.state for row in made.rows] == ["done", "not run"]
    assert made.rows[1].reason == "stopped before there was a model to judge"


def test_stop_and_keep_reports_what_is_done(engine: Engine) -> None:
    run = EngineRun()
    run._on_log = lambda entries: run.stop("keep") if any(entry.phase == "fit" for entry in entries) else None
    slow = {"toy-epochs": {"epochs": 1000, "pause": 0.06}}
    made = engine.evaluate(EvaluateRequest(["toy-popular", "toy-epochs", "toy-together"], data="toy", params=slow), run)
    assert [row.state for row in made.rows] == ["done", "done", "not run"]
    assert made.rows[1].reason == "stopped early" and made.rows[1].figures
    assert made.evaluation_id is not None


def test_an_empty_test_part_is_an_error(engine: Engine, parts: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("user,item,rating\n")
    with pytest.raises(RecSysError, match=r"empty\.csv"):
        engine.evaluate(EvaluateRequest(["toy-popular"], train=parts["train"], test=empty))


def test_beside_an_open_window_a_folder_of_ones_own_can_be_written(
    engine: Engine, parts: dict[str, Path], tmp_path: Path
) -> None:
    with Engine.open(engine.workspace.path, mode="read", plugins={"toys": toys}) as reader:
        with pytest.raises(Misuse, match="reading only"):
            reader.evaluate(EvaluateRequest(["toy-popular"], data="toy"))
        made = reader.evaluate(EvaluateRequest(["toy-popular"], data="toy", out=tmp_path / "mine"))
    assert made.folder == tmp_path / "mine" and (tmp_path / "mine" / "metrics.json").is_file()
    assert made.evaluation_id is None and engine.evaluations() == []


def test_a_metric_of_a_plugin_is_computed(engine: Engine) -> None:
    from types import SimpleNamespace

    from recsys_desktop.api import MetricSpec, hookimpl

    path = engine.workspace.path
    engine.close()
    length = MetricSpec(
        "list-length", "Length", "Items in the list", lambda ranked: (ranked.lists >= 0).sum(axis=1) * 1.0
    )
    plugin = SimpleNamespace(recsys_desktop_metrics=hookimpl(lambda: [length]))
    with Engine.open(path, plugins={"toys": toys, "metric": plugin}) as opened:
        made = opened.evaluate(EvaluateRequest(["toy-popular"], data="toy", k=4))
    assert made.rows[0].figures["list-length"].value == 4.0


def with_known_rows(parts: dict[str, Path], folder: Path, n: int) -> Path:
    """A test file that begins with the first n rows of the training file."""
    path = folder / "overlapping.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["user", "item", "rating"])
        writer.writeheader()
        writer.writerows(read(parts["train"])[:n] + read(parts["test"]))
    return path


def test_what_is_known_already_is_not_held_against_a_list_and_it_is_said(
    engine: Engine, parts: dict[str, Path], comparison: Comparison, tmp_path: Path
) -> None:
    test = with_known_rows(parts, tmp_path, 25)
    made = engine.evaluate(EvaluateRequest(ALGORITHMS, train=parts["train"], test=test, k=5, out=tmp_path / "overlap"))
    assert made.settings["known_test_interactions"] == 25
    assert any(notice.startswith("25 of 147 test interactions are in training") for notice in made.notices)
    assert comparison.settings["known_test_interactions"] == 0
    assert not any("are in training" in notice for notice in comparison.notices)
    for before, after in zip(comparison.rows[:2], made.rows[:2], strict=True):
        for metric in ("ndcg", "recall", "precision", "hit-rate", "map", "mrr"):
            assert after.figures[metric].value == pytest.approx(before.figures[metric].value), metric
    assert len(read(tmp_path / "overlap" / "predictions" / "toy-mean.csv")) == 147


def test_a_test_part_that_is_the_training_part_is_refused(engine: Engine, parts: dict[str, Path]) -> None:
    with pytest.raises(EngineError, match="every interaction of the test part is in training"):
        engine.evaluate(EvaluateRequest(["toy-popular"], train=parts["train"], test=parts["train"]))


def test_nobody_wins_where_no_list_holds_a_test_item(engine: Engine, tmp_path: Path) -> None:
    train, test = tmp_path / "few.csv", tmp_path / "far.csv"
    train.write_text(
        "user,item,rating\n" + "".join(f"u{n},i{n % 7},{1 + n % 5}\nu{n},i{n % 5 + 7},3\n" for n in range(30))
    )
    test.write_text("user,item,rating\n" + "".join(f"u{n},new{n},4\n" for n in range(30)))
    made = engine.evaluate(EvaluateRequest(["toy-popular", "toy-together"], train=train, test=test, k=5))
    assert made.conclusion == "No algorithm found any test item: NDCG@5 is 0 for all of them."
    assert [row.state for row in made.rows] == ["done", "done"] and not any(row.best for row in made.rows)


def test_an_algorithm_that_no_chosen_metric_concerns_is_not_run(engine: Engine) -> None:
    made = engine.evaluate(EvaluateRequest(["toy-popular", "toy-mean"], data="toy", metrics=["rmse"]))
    assert [row.state for row in made.rows] == ["not run", "done"]
    assert "predicts no ratings" in made.rows[0].reason and made.rows[0].fit_seconds is None
    made = engine.evaluate(EvaluateRequest(["toy-popular", "toy-mean"], data="toy", metrics=["ndcg"]))
    assert [row.state for row in made.rows] == ["done", "not run"]
    assert "only predicts ratings" in made.rows[1].reason


def test_too_small_a_training_part_is_counted_as_such(engine: Engine, tmp_path: Path) -> None:
    train, test = tmp_path / "one.csv", tmp_path / "rest.csv"
    train.write_text("user,item,rating\nu,a,3\n")
    test.write_text("user,item,rating\nu,b,4\n")
    row = engine.evaluate(EvaluateRequest(["toy-epochs"], train=train, test=test)).rows[0]
    assert row.state == "failed" and "what it is to be trained on has those of 1 user with 1 item" in row.reason


def test_people_a_model_has_never_seen_are_asked_for_with_their_history(engine: Engine, tmp_path: Path) -> None:
    comparison = engine.evaluate(
        EvaluateRequest(
            ["toy-popular", "toy-together"],
            data="toy",
            split="strong-generalisation",
            split_params={"test_share": 0.3},
            seed=3,
            k=4,
            out=tmp_path / "out",
        )
    )
    popular, together = comparison.rows
    assert popular.fallback_users == together.fallback_users == 0
    assert together.figures["ndcg"].value > popular.figures["ndcg"].value + 0.1
    split = engine.split("toy", "strong-generalisation", {"test_share": 0.3}, 3)
    assert split.history is not None
    users, items = split.history.user_vocabulary, split.history.item_vocabulary
    seen = {(users[user], items[item]) for user, item in zip(split.history.users, split.history.items, strict=True)}
    asked = {users[user] for user in np.unique(split.test.users)}
    listed = [(row["user"], row["item"]) for row in read(tmp_path / "out" / "recommendations" / "toy-together.csv")]
    assert {user for user, _ in listed} == asked
    assert not seen & set(listed)
    assert not asked & {users[user] for user in np.unique(split.train.users)}
