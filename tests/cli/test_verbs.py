"""Every verb, as a person and as a script uses it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from recsys_desktop.workspace import RunValue, Workspace
from tests.cli.conftest import Run, new_workspace, run_in


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_from_a_file_to_recommendations(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    ratings, items = files
    imported = run("data", "import", ratings, "--name", "toy", "--items", items, "--json").document
    assert imported["schema"] == "recsys-desktop/import" and imported["data"]["n_interactions"] == 480
    trained = run(
        "train", "toy-together", "--data", "toy", "--set", "weight=2", "--seed", "3", "--name", "mine", "--json"
    )
    model = trained.document["model"]
    assert model["label"] == "mine@1" and model["params"]["weight"] == 2.0 and model["seed"] == 3
    answer = run("recommend", "mine", "--user", "00", "-n", "4", "--json").document
    assert answer["schema"] == "recsys-desktop/recommend" and len(answer["items"]) == 4
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3, 4]
    assert all(item["title"].startswith("Title") and item["sentence"]["text"] for item in answer["items"])
    shown = run("recommend", "mine", "--user", "00", "-n", "4")
    assert all(item["title"] in shown.out for item in answer["items"])


def test_the_workspace_may_be_named_before_or_after_the_verb(shared_workspace: Path) -> None:
    after = run_in(shared_workspace, ["models", "list", "--json"])
    before = run_in(Path("/nowhere/else"), ["--workspace", shared_workspace, "--json", "models", "list"])
    assert after.code == 0 and len(after.document["models"]) >= 2
    assert before.code == 1
    between = run_in(shared_workspace, ["models", "--json", "list"])
    assert between.document == after.document
    import subprocess
    import sys

    from tests.cli.conftest import environment

    command = [sys.executable, "-m", "recsys_desktop", "--workspace", str(shared_workspace), "--json", "models", "list"]
    alone = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    assert json.loads(alone.stdout) == after.document


def test_inspecting_a_file_shows_layout_roles_and_statistics(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    document = run("data", "inspect", *files, "--json").document
    assert document["schema"] == "recsys-desktop/inspect" and document["problem"] == ""
    first = document["files"][0]
    assert {column["name"]: column["role"] for column in first["columns"]}["rating"] == "rating"
    assert document["statistics"]["interactions"] == 480
    assert not (tmp_path / "workspace" / "workspace.sqlite").exists()
    shown = run("data", "inspect", *files).out
    assert "480" in shown and "timestamp" in shown


def test_a_wrong_guess_is_corrected_by_a_role(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.tsv"
    path.write_text("who\twhat\thow\n" + "".join(f"u{n % 5}\ti{n % 7}\t{n % 5 + 1}\n" for n in range(35)))
    roles = ["--role", "who=user", "--role", "what=item", "--role", "how=rating"]
    document = run("data", "import", path, "--name", "odd", *roles, "--json").document
    assert (document["data"]["n_users"], document["data"]["n_items"]) == (5, 7)
    wrong = run("data", "import", path, "--name", "odd", "--role", "who=person")
    assert wrong.code == 2 and "person" in wrong.err


def test_importing_says_what_became_of_columns_and_names(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    first = run("data", "import", files[0], "--name", "toy")
    assert "user = user, item = item, rating = rating" in first.out and "Note:" not in first.out
    again = run("data", "import", files[0], "--name", "other")
    assert again.code == 0 and 'already here as "toy"' in again.out and 'there is no "other"' in again.out
    half = tmp_path / "half.csv"
    half.write_text("".join(files[0].read_text().splitlines(keepends=True)[:200]))
    notices = run("data", "import", half, "--name", "toy", "--json").document["notices"]
    fingerprints = [record["fingerprint"] for record in run("data", "list", "--json").document["datasets"]]
    assert len(notices) == 1 and '"toy" now means' in notices[0] and fingerprints[1][:12] in notices[0]
    assert "toy (earlier)" in run("data", "list").out
    shadowed = run("data", "import", files[0], "--name", "toy", "--json").document["notices"]
    assert f'--data "{fingerprints[1][:12]}"' in shadowed[0]


def test_deleting_data_names_the_models_that_came_of_them(run: Run, files: tuple[Path, Path]) -> None:
    run("data", "import", files[0], "--name", "toy")
    run("train", "toy-popular", "--data", "toy")
    deleted = run("data", "delete", "toy", "--json").document
    assert deleted["deleted"] is True and deleted["models"] == ["toy-popular@1"]


def test_algorithms_lists_and_shows_parameters(shared: Run) -> None:
    document = shared("algorithms", "--json").document
    listed = {spec["id"]: spec for spec in document["algorithms"]}
    assert listed["toy-together"]["capabilities"]["additive"] is True
    weight = listed["toy-together"]["params"][0]
    assert (weight["name"], weight["kind"], weight["default"], weight["maximum"]) == ("weight", "number", 1.0, 10.0)
    one = shared("algorithms", "toy-together")
    assert "weight" in one.out and "Multiplies every score." in one.out
    assert {spec["id"] for spec in shared("algorithms", "--json", "--safe-mode").document["algorithms"]}.isdisjoint(
        {"toy-together"}
    )


def test_splits_are_listed(shared: Run) -> None:
    ids = [split["id"] for split in shared("splits", "--json").document["splits"]]
    assert {"random", "leave-last-out", "global-time"} <= set(ids)


def test_a_config_file_fills_in_and_flags_win(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    run("data", "import", files[0], "--name", "toy")
    config = tmp_path / "train.toml"
    config.write_text('data = "toy"\nseed = 7\nname = "configured"\n[params]\nweight = 3.0\n')
    model = run("train", "toy-together", "--config", config, "--json").document["model"]
    assert (model["name"], model["seed"], model["params"]["weight"]) == ("configured", 7, 3.0)
    model = run("train", "toy-together", "--config", config, "--seed", 8, "--set", "weight=4", "--json").document[
        "model"
    ]
    assert (model["seed"], model["params"]["weight"]) == (8, 4.0)
    config.write_text('dta = "toy"\n')
    wrong = run("train", "toy-together", "--config", config)
    assert wrong.code == 2 and "did you mean 'data'" in wrong.err
    config.write_text("data = \n")
    assert "line 1" in run("train", "toy-together", "--config", config).err
    evaluation = tmp_path / "evaluate.json"
    evaluation.write_text(
        json.dumps({"algorithms": ["toy-together"], "data": "toy", "k": 3, "params": {"toy-together": {"weight": 2}}})
    )
    document = run("evaluate", "--config", evaluation, "--json").document
    assert document["settings"]["k"] == 3 and document["rows"][0]["params"]["weight"] == 2.0


def test_evaluating_files_writes_what_a_scorer_reads(shared: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    rows = read(files[0])
    for name, part in (("train", [row for n, row in enumerate(rows) if n % 4]), ("test", rows[::4])):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(part)
    out = tmp_path / "report"
    done = shared(
        *("evaluate", "--algorithms", "toy-together,toy-mean", "--train", tmp_path / "train.csv"),
        *("--test", tmp_path / "test.csv", "--items", files[1], "--k", 5, "--out", out, "--json"),
    )
    assert done.code == 0, done.err
    document = done.document
    assert document["settings"]["k"] == 5 and {row["algorithm"] for row in document["rows"]} == {
        "toy-together",
        "toy-mean",
    }
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["rows"][0]["figures"] == document["rows"][0]["figures"]
    lists = read(out / "recommendations" / "toy-together.csv")
    users = {row["user"] for row in rows[::4]}
    assert {row["user"] for row in lists} == users and list(lists[0]) == ["user", "item", "rank", "score"]
    assert all(user.startswith("0") for user in users)
    predictions = read(out / "predictions" / "toy-mean.csv")
    assert len(predictions) == len(rows[::4])
    assert [(row["user"], row["item"], float(row["rating"])) for row in predictions] == [
        (row["user"], row["item"], float(row["rating"])) for row in rows[::4]
    ]
    shown = shared("evaluate", "-a", "toy-together", "--data", "toy", "--set", "toy-together.weight=2").out
    assert "Toy together" in shown and "NDCG@10" in shown


def test_lists_for_everybody_and_for_a_stranger(shared: Run, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    document = shared("recommend", "toy-together", "--all-users", "--out", out, "-n", "3", "--json").document
    assert document["n_users"] == 60 and document["n_rows"] == 180 == len(read(out))
    history = tmp_path / "history.csv"
    history.write_text("item,rating\n000,5\n003,4\nunknown,1\n")
    answer = shared("recommend", "toy-together", "--history", history, "--json").document
    assert answer["person"] == {"user": None, "known": False, "n_history": 2}
    assert any("unknown" in notice for notice in answer["notices"])
    assert int(answer["items"][0]["item"]) % 3 == 0
    filtered = shared(
        "recommend", "toy-together", "--user", "00", "--filter", "genres=Group1|Group2", "--filter", "year=1995.."
    )
    assert filtered.code == 0 and "Title 1" in filtered.out


def test_explaining_shows_parts_that_add_up(shared: Run) -> None:
    item = shared("recommend", "toy-together", "--user", "00", "-n", "1", "--json").document["items"][0]["item"]
    view = shared("explain", "toy-together", "--user", "00", "--item", item, "--json").document
    assert view["schema"] == "recsys-desktop/explain" and view["exact"]
    assert view["base"] + sum(part["value"] for part in view["parts"]) == pytest.approx(view["score"], rel=1e-6)
    shown = shared("explain", "toy-together", "--user", "00", "--item", item).out
    assert view["sentence"]["text"] in shown and "score" in shown
    listed = shared("recommend", "toy-together", "--user", "00", "-n", "2", "--explain", "--json").document
    assert listed["items"][0]["explanation"]["parts"] == view["parts"]


def test_predicting_pairs(shared: Run, tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.csv", tmp_path / "predictions.csv"
    pairs.write_text("user,item\n00,000\nnobody,001\n")
    document = shared("predict", "toy-mean", "--pairs", pairs, "--out", out, "--json").document
    assert document["n_rows"] == 2
    rows = read(out)
    assert list(rows[0]) == ["user", "item", "rating", "prediction", "source"]
    assert 1 <= float(rows[0]["prediction"]) <= 5 and rows[0]["source"] == "toy-mean@1"
    pairs.write_text("user,item\n00,nothing\n")
    failed = shared("predict", "toy-mean", "--pairs", pairs, "--out", tmp_path / "none.csv")
    assert failed.code == 1 and "predicts none of the 1 row" in failed.err and not (tmp_path / "none.csv").exists()


def test_what_was_taken_for_an_open_parameter_is_shown_and_kept_with_a_comparison(
    run: Run, files: tuple[Path, Path]
) -> None:
    run("data", "import", files[0], "--name", "toy")
    run("train", "toy-epochs", "--data", "toy", "--set", "epochs=2")
    assert "40.0" in (shown := run("models", "show", "toy-epochs").out)
    assert "(auto)" in shown
    row = run("evaluate", "--algorithms", "toy-epochs", "--data", "toy", "--json").document["rows"][0]
    assert row["params"]["noise"] is None
    assert 40 < row["chosen"]["noise"] < 41


def test_models_through_their_life(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    run("data", "import", files[0], "--name", "toy")
    for _ in range(2):
        assert run("train", "toy-popular", "--data", "toy").code == 0
    listed = run("models", "list", "--json").document["models"]
    assert [(model["label"], model["active"]) for model in listed] == [
        ("toy-popular@2", True),
        ("toy-popular@1", False),
    ]
    assert run("models", "activate", "toy-popular@1").code == 0
    assert run("models", "show", "toy-popular", "--json").document["model"]["label"] == "toy-popular@1"
    exported = run("models", "export", "toy-popular", "--out", tmp_path / "model", "--json").document
    assert Path(exported["path"]).is_file()
    assert run("models", "delete", "toy-popular@1").code == 0
    assert run("models", "import", exported["path"], "--json").document["model"]["label"] == "toy-popular@3"
    cut = tmp_path / "cut.recsys-model"
    cut.write_bytes(Path(exported["path"]).read_bytes()[:300])
    broken = run("models", "import", cut)
    assert broken.code == 1 and "cut.recsys-model" in broken.err


def test_doctor_finds_what_is_broken(shared: Run, run: Run, tmp_path: Path) -> None:
    healthy = shared("doctor", "--json")
    assert healthy.code == 0 and healthy.document["healthy"] is True
    names = {check["name"] for check in healthy.document["checks"]}
    assert {"Python", "torch", "Workspace", "Memory", "Disk", "Algorithms"} <= names
    (tmp_path / "workspace" / "plugins" / "broken.py").write_text("raise RuntimeError('no')")
    sick = run("doctor")
    assert sick.code == 1 and "RuntimeError: no" in sick.out


def test_help_names_the_common_options_for_every_verb(shared: Run) -> None:
    for verb in (["train"], ["data", "import"], ["models", "list"], ["demo"]):
        done = run_in_help(shared, verb)
        assert "--workspace" in done and "--json" in done and "--verbose" in done


def run_in_help(shared: Run, verb: list[str]) -> str:
    done = shared(*verb, "--help")
    assert done.code == 0
    return done.out


def test_listing_algorithms_imports_no_heavy_library(shared_workspace: Path) -> None:
    import subprocess
    import sys

    from tests.cli.conftest import environment

    code = (
        "import sys\nfrom recsys_desktop.cli.app import run\n"
        f"run(['algorithms', '--json', '--workspace', {str(shared_workspace)!r}, '--safe-mode'])\n"
        "heavy = {'torch', 'scipy', 'pandas', 'pyarrow', 'sklearn', 'numba', 'PySide6', 'sentence_transformers'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60)
    assert "HEAVY []" in done.stdout, done.stdout[-200:] + done.stderr


def test_an_interrupted_training_is_pointed_out_and_taken_up(tmp_path: Path, files: tuple[Path, Path]) -> None:
    folder = new_workspace(tmp_path / "workspace")
    assert run_in(folder, ["data", "import", files[0], "--name", "toy"]).code == 0
    with Workspace.open(folder) as workspace:
        (data,) = workspace.datasets()
        asked = {"algorithm": "toy-together", "data": "toy", "params": {"weight": 3.0}, "seed": 8, "threads": 1}
        killed = workspace.start_run("train", asked, dataset_fingerprint=data.fingerprint)
        workspace.append_run_values(killed.id, [RunValue(12, "fit/loss", 0.5, 0.0)])
        (workspace.checkpoints.create(killed.id) / "training.safetensors").write_bytes(b"state")
    note = f"on toy was interrupted in epoch 12; resume it: recsys-desktop train --resume {killed.id}"
    assert note in " ".join(run_in(folder, ["models", "list"]).out.split())
    examined = run_in(folder, ["doctor", "--json"])
    (check,) = [check for check in examined.document["checks"] if check["name"] == "Interrupted training"]
    assert examined.code == 0 and check["state"] == "warning" and f"run {killed.id}" in check["detail"]
    assert f"--resume {killed.id}" in check["advice"] and f"--discard {killed.id}" in check["advice"]
    said = run_in(folder, ["train", "toy-popular", "--data", "toy"])
    assert note in " ".join(said.out.split())
    assert note in " ".join(run_in(folder, ["models", "list"]).out.split())
    listed = run_in(folder, ["train", "toy-popular", "--data", "toy", "--json"]).document["interrupted"]
    assert [(run["run_id"], run["epoch"], run["phase"]) for run in listed] == [(killed.id, 12, "fit")]
    resumed = run_in(folder, ["train", "--resume", "latest", "--json"]).document
    assert resumed["model"]["seed"] == 8 and resumed["model"]["params"]["weight"] == 3.0
    assert resumed["interrupted"] == []
    assert run_in(folder, ["train", "--resume", killed.id]).code == 2
    assert run_in(folder, ["models", "list", "--json"]).document["interrupted"] == []


def test_an_interrupted_training_is_given_up(tmp_path: Path, files: tuple[Path, Path]) -> None:
    folder = new_workspace(tmp_path / "workspace")
    assert run_in(folder, ["data", "import", files[0], "--name", "toy"]).code == 0
    with Workspace.open(folder) as workspace:
        killed = [workspace.start_run("train", {"algorithm": "toy-together", "data": "toy"}) for _ in range(2)]
        for left in killed:
            (workspace.checkpoints.create(left.id) / "training.safetensors").write_bytes(b"state")
    document = run_in(folder, ["train", "--discard", "latest", "--json"]).document
    assert document["discarded"]["run_id"] == killed[1].id
    assert [run["run_id"] for run in document["interrupted"]] == [killed[0].id]
    assert run_in(folder, ["train", "--discard", killed[0].id[:12]]).code == 0
    refused = run_in(folder, ["train", "--discard", "latest"])
    assert refused.code == 2 and "no run was interrupted" in refused.err


def test_the_device_can_be_chosen(run: Run, files: tuple[Path, Path]) -> None:
    assert run("data", "import", files[0], "--name", "toy").code == 0
    refused = run("train", "ncf", "--data", "toy", "--device", "abacus")
    assert refused.code == 2 and "the devices are auto, cpu" in refused.err
