"""0 done, 1 failed, 2 misuse; one clear message on stderr and never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recsys_desktop.cli.app import run as run_command
from recsys_desktop.engine import Engine, NothingToKeep
from tests.cli.conftest import Run, environment, run_in

MISUSES: list[tuple[list[str], str]] = [
    (["nonsense"], "No such command 'nonsense'"),
    (["train"], "say which algorithm to train"),
    (["train", "--resume", "0123"], "no run was interrupted"),
    (["train", "toy-together", "--resume", "0123"], "give nothing else"),
    (["train", "--resume", "latest"], "no run was interrupted"),
    (["train", "--resume", "0123", "--discard", "0123"], "give nothing else"),
    (["train", "toy-together"], "--data"),
    (["train", "toy-togethr", "--data", "toy"], "did you mean 'toy-together'"),
    (["train", "toy-together", "--data", "nothing"], 'There is no data set "nothing"'),
    (["train", "toy-together", "--data", "toy", "--set", "weight=heavy"], "parameter 'weight'"),
    (["train", "toy-together", "--data", "toy", "--set", "weight"], "write name=value"),
    (["train", "toy-together", "--data", "toy", "--set", "size=3"], "the parameters are: weight"),
    (["train", "toy-together", "--data", "toy", "--seed", "many"], "--seed"),
    (["train", "toy-together", "--data", "toy", "--config", "/nowhere.toml"], "/nowhere.toml does not exist"),
    (["train", "toy-together", "--data", "toy", "--device", "gpu"], "parameter 'device': 'gpu' is no device"),
    (["train", "toy-together", "--data", "toy", "--device", "cuda:999"], "parameter 'device': 'cuda:999' is not"),
    (["evaluate", "-a", "toy-mean", "--data", "toy", "--device", "gpu"], "parameter 'device': 'gpu' is no device"),
    (["evaluate", "-a", "toy-mean", "--data", "toy", "--device", "cuda:999"], "usable: auto, cpu"),
    (["evaluate", "--data", "toy"], "--algorithms"),
    (["evaluate", "-a", "toy-mean", "--data", "toy", "--split", "magic"], "split 'magic'"),
    (["evaluate", "-a", "toy-mean,toy-popular", "--data", "toy", "--set", "x=1"], "ALGORITHM.x=1"),
    (["evaluate", "-a", "toy-mean", "--train", "/no.csv", "--test", "/no.csv"], "/no.csv"),
    (["recommend", "toy-together"], "for whom"),
    (["recommend", "toy-together", "--user", "nobody"], "user 'nobody'"),
    (["recommend", "nothing", "--user", "00"], 'There is no model "nothing"'),
    (["recommend", "toy-together", "--user", "00", "-n", "0"], "-n"),
    (["recommend", "toy-together", "--all-users"], "--out"),
    (["recommend", "toy-together", "--user", "00", "--history", __file__], "do not go together"),
    (["explain", "toy-together", "--item", "000", "--user", "00", "--history", __file__], "do not go together"),
    (["recommend", "toy-together", "--user", "00", "--filter", "level=easy"], "item column 'level'"),
    (["recommend", "toy-together", "--user", "00", "--filter", "year=old..new"], "'old' is not a number"),
    (["explain", "toy-together", "--user", "00", "--item", "nothing"], "item 'nothing'"),
    (["models", "show", "toy-together@9"], "no version 9"),
    (["data", "import", "/nowhere.csv", "--name", "x"], "/nowhere.csv"),
    (["algorithms", "toy-x"], "algorithm 'toy-x'"),
]


def test_a_run_that_was_stopped_before_it_had_a_model_ends_as_a_cancelled_one(
    shared_workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise NothingToKeep

    monkeypatch.setattr(Engine, "train", stopped)
    arguments = ["train", "popularity", "--data", "toy", "--json", "--workspace", str(shared_workspace)]
    assert run_command(arguments) == 1
    out, err = capsys.readouterr()
    assert '"kind": "cancelled"' in out and "stopped before there was a model to keep" in out
    assert "stopped before there was a model to keep" in err


@pytest.mark.parametrize(
    ("verb", "content", "message"),
    [
        (["train", "toy-together"], '{"seed": 1.5}', "config.json: 'seed' is 1.5; it must be a whole number"),
        (["train", "toy-together"], '{"seed": true}', "'seed' is True; it must be a whole number"),
        (["train", "toy-together"], '{"sead": 1}', "there is no setting in config.json 'sead'; did you mean 'seed'"),
        (["evaluate"], '{"algorithms": 3}', "'algorithms' is 3; it must be text or a list of texts"),
        (["evaluate", "-a", "toy-mean"], '{"set": {"toy-mean": 3}}', "'toy-mean' must hold names with values"),
    ],
)
def test_a_config_file_that_is_wrong_is_misuse_and_named(
    shared_workspace: Path,
    tmp_path: Path,
    verb: list[str],
    content: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "config.json"
    config.write_text(content)
    arguments = [*verb, "--data", "toy", "--config", str(config), "--workspace", str(shared_workspace)]
    assert run_command(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("out", "message"), [("", "is a folder"), ("nowhere/lists.csv", "there is no folder")])
def test_a_file_is_written_only_where_it_can_be(
    shared_workspace: Path, tmp_path: Path, out: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recommend", "toy-together", "--all-users", "--out", str(tmp_path / out)]
    assert run_command([*arguments, "--workspace", str(shared_workspace)]) == 2
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "message"), MISUSES, ids=[" ".join(case[0]) for case in MISUSES])
def test_misuse(shared_workspace: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command([*arguments, "--workspace", str(shared_workspace)])
    out, err = capsys.readouterr()
    assert code == 2, err
    assert message in err and "Traceback" not in err
    assert err.count("Error:") == 1 and out == ""


def test_the_exit_code_of_the_process_is_that_of_the_command(shared: Run) -> None:
    assert shared("train", "toy-together").code == 2
    assert shared("models", "list").code == 0
    as_json = shared("train", "toy-together", "--json")
    assert as_json.code == 2 and as_json.document["schema"] == "recsys-desktop/error"
    assert as_json.document["kind"] == "misuse" and "--data" in as_json.document["error"]


def test_a_failing_run_is_1_with_its_reason(shared_workspace: Path, tmp_path: Path) -> None:
    done = run_in(shared_workspace, ["train", "toy-raises", "--data", "toy"])
    assert done.code == 1
    assert done.err.strip() == "Error: 'toy-raises' failed: ZeroDivisionError: toys break"
    log = (shared_workspace / "logs" / "recsys-desktop.log").read_text()
    assert "toys break" in log


def test_verbose_shows_what_lies_behind_a_failure(shared_workspace: Path) -> None:
    done = run_in(shared_workspace, ["train", "toy-raises", "--data", "toy", "--verbose"])
    assert done.code == 1 and "Traceback" in done.err and "ZeroDivisionError" in done.err


def test_an_evaluation_in_which_nothing_could_be_judged_has_failed(shared: Run, tmp_path: Path) -> None:
    done = shared("evaluate", "-a", "toy-raises", "--data", "toy")
    assert done.code == 1 and "toys break" in done.out
    done = shared("evaluate", "-a", "toy-raises,toy-popular", "--data", "toy")
    assert done.code == 0 and "toys break" in done.out


def test_the_forecast_refuses_and_names_what_to_use(shared: Run) -> None:
    done = shared("train", "toy-together", "--data", "toy", "--set", "memory=1e16")
    assert done.code == 1 and "use 'toy-popular'" in done.err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv"),
        ("header.csv", b"user,item\n", "header.csv"),
        ("text.csv", b"user,item,rating\na,x,good\nb,y,bad\n", "text.csv"),
        ("binary.csv", bytes(range(256)) * 64, "binary.csv"),
        ("cut.parquet", b"PAR1\x00\x01", "cut.parquet"),
    ],
)
def test_bad_input_is_named_and_nothing_is_kept(
    run: Run, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    done = run("data", "import", path, "--name", "bad", "--role", "rating=rating")
    assert done.code in (0, 1) and "Traceback" not in done.err
    if done.code == 1:
        assert message in done.err
        assert "There is no data yet" in run("data", "list").out
    else:
        assert name == "text.csv" and "rating" in done.out


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_read_only_folder_is_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        done = run_in(folder / "workspace", ["data", "import", files[0], "--name", "x"])
    finally:
        folder.chmod(0o700)
    assert done.code == 1 and "cannot be written to" in done.err and "--workspace" in done.err


def test_a_workspace_that_is_a_file_is_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    done = run_in(path, ["data", "import", files[0], "--name", "x"])
    assert done.code == 1 and "cannot be a workspace" in done.err


def test_a_second_writer_is_told_and_readers_work_beside_it(
    shared_workspace: Path, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    hold = (
        "import sys, time\nfrom recsys_desktop.engine import Engine\n"
        f"engine = Engine.open({str(shared_workspace)!r})\nprint('open', flush=True)\n"
        "sys.stdin.read()\nengine.close()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline().strip() == "open"
        busy = run_in(shared_workspace, ["train", "toy-popular", "--data", "toy"])
        assert busy.code == 1 and "already open for writing" in busy.err
        for arguments in (
            ["models", "list"],
            ["data", "list"],
            ["recommend", "toy-together", "--user", "00"],
            ["recommend", "toy-together", "--all-users", "--out", tmp_path / "all.csv"],
            ["evaluate", "-a", "toy-popular", "--data", "toy", "--out", tmp_path / "report"],
            ["data", "inspect", files[0]],
            ["algorithms"],
            ["doctor"],
        ):
            done = run_in(shared_workspace, arguments)
            assert done.code == 0, (arguments, done.err)
    finally:
        holder.communicate("")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_cancels_cleanly_and_the_run_is_marked(shared_workspace: Path) -> None:
    command = [sys.executable, "-m", "recsys_desktop", "train", "toy-epochs", "--data", "toy", "--verbose"]
    command += ["--set", "epochs=10000", "--set", "pause=0.05", "--workspace", str(shared_workspace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    from recsys_desktop.workspace import Workspace

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with Workspace.open(shared_workspace, "read") as workspace:
            running = workspace.runs(state="running", kind="train")
            if running and workspace.run_values(running[0].id):
                break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "cancelled" in err and out == ""
    with Workspace.open(shared_workspace, "read") as workspace:
        record = workspace.runs(kind="train")[0]
        assert record.state == "cancelled"
        assert not any(model.algorithm == "toy-epochs" for model in workspace.models())


def test_a_reader_that_leaves_early_is_no_error(shared_workspace: Path) -> None:
    command = f"{sys.executable} -m recsys_desktop algorithms --json --workspace {shared_workspace} | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), timeout=60)
    assert done.stdout.startswith("{") and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_without_a_screen_the_window_says_so(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux can have no screen")
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    without: dict[str, Any] = {name: value for name, value in environment().items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-m", "recsys_desktop", "-w", str(tmp_path)],
        capture_output=True,
        text=True,
        env=without,
        timeout=60,
    )
    assert done.returncode == 1 and "no screen" in done.stderr and "recsys-desktop demo" in done.stderr
