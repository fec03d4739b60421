"""The log: a rotating file in the workspace, the terminal when asked, never in the way."""

import errno
import logging
from pathlib import Path

import pytest

from recsys_desktop.workspace import configure_logging, logs
from recsys_desktop.workspace.logs import WorkspaceLogHandler

logger = logging.getLogger("recsys_desktop.somewhere")


def test_messages_reach_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = configure_logging(tmp_path)
    assert file == tmp_path / "logs" / "recsys-desktop.log"
    logger.info("read %d rows ü", 5)
    logger.debug("a detail")
    logging.getLogger("some_plugin").warning("a plugin speaks")
    text = file.read_text(encoding="utf-8")
    assert "INFO" in text
    assert "recsys_desktop.somewhere: read 5 rows ü" in text
    assert "a plugin speaks" in text
    assert "a detail" not in text
    assert capsys.readouterr().err == ""


def test_verbose_says_the_same_on_the_terminal_with_details(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = configure_logging(tmp_path, verbose=True)
    logger.debug("a detail")
    assert file is not None
    assert "a detail" in file.read_text(encoding="utf-8")
    assert "a detail" in capsys.readouterr().err


def test_configuring_again_replaces_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = configure_logging(tmp_path / "first", verbose=True)
    second = configure_logging(tmp_path / "second")
    logger.info("once")
    assert first is not None
    assert second is not None
    assert first.read_text() == ""
    assert second.read_text().count("once") == 1
    assert capsys.readouterr().err == ""
    assert configure_logging(None) is None
    logger.info("nowhere")
    assert second.read_text().count("nowhere") == 0


def test_full_files_rotate_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_LARGEST_FILE_BYTES", 2000)
    configure_logging(tmp_path)
    for number in range(200):
        logger.info("message %d %s", number, "x" * 100)
    files = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert files == ["recsys-desktop.log"] + [f"recsys-desktop.log.{number}" for number in range(1, 6)]
    assert all(path.stat().st_size <= 2000 for path in (tmp_path / "logs").iterdir())
    assert "message 199" in (tmp_path / "logs" / "recsys-desktop.log").read_text()


def test_file_that_another_process_holds_open_grows_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = WorkspaceLogHandler(tmp_path / "log", maxBytes=500, backupCount=2, encoding="utf-8")

    def rename(source: str, target: str) -> None:
        raise PermissionError(errno.EACCES, "in use by another process", source)

    monkeypatch.setattr("os.rename", rename)
    for number in range(20):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, f"message {number} {'x' * 50}", None, None))
    handler.close()
    assert (tmp_path / "log").read_text().count("message") == 20


def test_full_disk_is_said_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(tmp_path)
    (handler,) = [one for one in logging.getLogger().handlers if isinstance(one, WorkspaceLogHandler)]

    def full(text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(handler.stream, "write", full, raising=False)
        for _ in range(3):
            logger.info("lost")
    complaint = capsys.readouterr().err
    assert complaint.count("can no longer be written") == 1
    assert str(tmp_path) in complaint


def test_folder_that_refuses_leaves_the_program_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    assert configure_logging(tmp_path, verbose=True) is None
    logger.info("still here")
    said = capsys.readouterr().err
    assert "No log is written" in said
    assert "still here" in said
