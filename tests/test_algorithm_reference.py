"""The reference of the algorithms says no more and no less than what is shipped."""

from __future__ import annotations

from docs.write_algorithms import PAGE, described, shipped_algorithms


def test_the_page_has_every_algorithm_and_every_parameter() -> None:
    shipped = {spec.id: sorted(field.name for field in spec.params.describe()) for spec in shipped_algorithms()}
    written = {name: sorted(names) for name, names in described(PAGE.read_text(encoding="utf-8")).items()}
    assert written == shipped, "write the page anew: python docs/write_algorithms.py"
