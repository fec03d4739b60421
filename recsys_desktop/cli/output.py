"""What a command prints: one JSON document, or tables and sentences; progress and errors go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from recsys_desktop.engine.plain import plain

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA_PREFIX = "recsys-desktop/"
SCHEMA_VERSION = 1


class Output:
    """The standard output of one command.

    json: print the document and nothing else; else print what people read.
    """

    def __init__(self, json: bool) -> None:
        self.json = json
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """Standard output for people; as wide as the terminal, or 120 where it is no terminal."""
        if self._console is None:
            from rich.console import Console

            width = None if sys.stdout.isatty() else 120
            self._console = Console(highlight=False, width=width, soft_wrap=False)
        return self._console

    def document(self, name: str, content: Any) -> None:
        """Print the one JSON document of this command, under its schema's name and version; nothing without --json."""
        if self.json:
            print_document(name, content)

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        if not self.json:
            from rich.text import Text

            self.console.print(Text(text))

    def table(
        self, columns: Sequence[str | tuple[str, str]], rows: Iterable[Sequence[Any]], title: str | None = None
    ) -> None:
        """Print a table for people. columns: headings, with "right" beside them for numbers."""
        if self.json:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for column in columns:
            heading, side = column if isinstance(column, tuple) else (column, "left")
            right = side == "right"
            table.add_column(heading, justify="right" if right else "left", overflow="fold", no_wrap=right)
        for row in rows:
            table.add_row(
                *(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row)
            )
        self.console.print(table)


def print_document(name: str, content: Any) -> None:
    """One JSON document on stdout, with the name and version of its schema (docs/json-schemas.md)."""
    document = {"schema": SCHEMA_PREFIX + name, "version": SCHEMA_VERSION, **plain(content)}
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def complain(text: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"Error: {text}\n")
