"""Values as they are typed."""

from __future__ import annotations

import pytest

from recsys_desktop.cli.values import moment
from recsys_desktop.engine import Misuse


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        (None, None),
        ("2024-05-31", 1717113600),
        ("2024-05-31T20:15", 1717186500),
        ("2024-05-31T20:15+02:00", 1717179300),
        ("1717186500", 1717186500),
    ],
)
def test_a_moment_is_a_date_a_time_or_seconds(typed: str | None, seconds: int | None) -> None:
    assert moment(typed) == seconds


@pytest.mark.parametrize("typed", ["yesterday", "2024-13-01", "31.5.2024", ""])
def test_what_is_no_moment_is_refused(typed: str) -> None:
    with pytest.raises(Misuse, match="--as-of"):
        moment(typed)
