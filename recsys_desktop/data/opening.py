"""Open a file for import: the table, a sample of it, and the role of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.api.roles import Role
from recsys_desktop.data.errors import MissingRole, RepeatedRole
from recsys_desktop.data.kinds import FileKind
from recsys_desktop.data.readers.choosing import open_table
from recsys_desktop.data.request import DELIMITER_NAMES, FileSource
from recsys_desktop.data.roles import ColumnSample, RoleGuess, guess_roles
from recsys_desktop.data.table import Batch, Table
from recsys_desktop.data.values import as_text

if TYPE_CHECKING:
    import pyarrow as pa

SINGLE_ROLES = (Role.USER, Role.ITEM, Role.RATING, Role.TIMESTAMP, Role.EVENT, Role.WEIGHT)


@dataclass(frozen=True)
class OpenedFile:
    """A file that is ready to be read.

    guesses: role and reason by column name, corrections included. sample: the first rows of all columns.
    """

    source: FileSource
    table: Table
    kind: FileKind
    guesses: Mapping[str, RoleGuess]
    sample: Batch

    @property
    def roles(self) -> dict[str, Role]:
        """The role of each column, in file order."""
        return {name: guess.role for name, guess in self.guesses.items()}

    @property
    def separators(self) -> dict[str, str]:
        """What separates the values of a cell, by column of tags; empty where a cell is one value."""
        return {name: guess.separator for name, guess in self.guesses.items() if guess.separator is not None}

    def column(self, role: Role) -> str | None:
        """The column that has a role, the first one where several have it."""
        return next((name for name, guess in self.guesses.items() if guess.role is role), None)

    def require(self, *roles: Role) -> None:
        """Raise MissingRole for a role that no column has, RepeatedRole for one that two have."""
        for role in roles:
            if self.column(role) is None:
                raise MissingRole(
                    self.table.path, f"no column has the role '{role.value}'", advice=self._advice_on_missing(role)
                )
        for role in SINGLE_ROLES:
            named = [name for name, guess in self.guesses.items() if guess.role is role]
            if len(named) > 1:
                raise RepeatedRole(
                    self.table.path,
                    f"the columns {' and '.join(named)} both have the role '{role.value}'",
                    advice="Give all but one of them the role 'ignore'",
                )

    def _advice_on_missing(self, role: Role) -> str:
        names = self.table.column_names()
        given = self.table.options.delimiter
        if len(names) > 1 or given is None:
            return f"The columns are: {', '.join(names)}. Say which one it is, for example {names[0]}={role.value}"
        line = next(iter(self.sample.columns[names[0]].slice(0, 1).to_pylist()), "")
        likely = [
            word for mark, word in DELIMITER_NAMES.items() if mark != given and mark in names[0] and mark in str(line)
        ]
        proposal = f"; try delimiter={likely[0]}" if likely else ""
        return (
            f"The file was divided by {DELIMITER_NAMES.get(given, given)} and has a single column, '{names[0]}': the "
            f"delimiter is probably wrong{proposal}"
        )


def open_file(
    source: FileSource,
    readers: Sequence[ReaderSpec] | None = None,
    kind: FileKind | None = None,
    item_name: str | None = None,
    user_name: str | None = None,
) -> OpenedFile:
    """Open a file and decide what its columns are for.

    kind: what the rows are, or None to guess. item_name, user_name: what the interactions call their ids. Roles in
    `source` for columns that this file does not have are left alone: they may speak of another file.
    """
    table = open_table(source.path, source.options, readers)
    batch = table.sample()
    samples = [_column_sample(table, batch, position) for position in range(len(table.columns))]
    given = {name: role for name, role in source.roles.items() if name in table.column_names()}
    decided, guesses = guess_roles(
        samples, kind=kind or table.kind, item_name=item_name, user_name=user_name, given=given
    )
    return OpenedFile(source, table, decided, guesses, batch)


def _column_sample(table: Table, batch: Batch, position: int) -> ColumnSample:
    column = table.columns[position]
    values, lists = text_cells(batch.columns[column.name])
    return ColumnSample(column, values, lists)


def text_cells(array: pa.Array) -> tuple[list[str], list[list[str]] | None]:
    """The cells of an Arrow array as text, and as lists of text where they are lists."""
    import pyarrow as pa

    text = as_text(array)
    cells = text.to_pylist()
    if pa.types.is_list(text.type):
        lists = [[str(value) for value in cell] if cell else [] for cell in cells]
        return [", ".join(cell) for cell in lists], lists
    return ["" if cell is None else cell for cell in cells], None
