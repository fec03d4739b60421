"""What every test gets: no network, no hub, and a workspace of its own instead of the developer's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Any attempt to reach another machine fails the test; sockets of the local machine are left alone."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"the application is offline, yet something connects to {address}")
        connect(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def own_workspace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the workspace of the person who runs it."""
    folder = tmp_path_factory.mktemp("workspace")
    monkeypatch.setenv("RECSYS_DESKTOP_WORKSPACE", str(folder))
    return folder
