"""Errors of reading files into data: each names the file, the line and the column, and what to do."""

from __future__ import annotations

from pathlib import Path

from recsys_desktop.api.errors import RecSysError


class DataFileError(RecSysError):
    """A file cannot become data.

    path: the file. line: 1-based line (row for formats without lines) or None. column: the column's name or None.
    reason: what is wrong. advice: what to do, may be empty.
    """

    def __init__(
        self, path: Path | str, reason: str, *, line: int | None = None, column: str | None = None, advice: str = ""
    ) -> None:
        self.path = Path(path)
        self.line = line
        self.column = column
        self.reason = reason
        self.advice = advice
        place = self.path.name
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column '{column}'"
        text = f"{place}: {reason}"
        if advice:
            text += f". {advice}" if advice.endswith((".", "!", "?")) else f". {advice}."
        super().__init__(text)


class FileMissing(DataFileError):
    """There is no such file, or it cannot be opened."""


class EmptyFile(DataFileError):
    """The file holds nothing."""


class HeaderOnly(DataFileError):
    """The file holds column names and no rows."""


class NotText(DataFileError):
    """The file holds binary content where text was expected."""


class NotWhatItsNameSays(DataFileError):
    """The content is of another format than the file's ending says."""


class DamagedFile(DataFileError):
    """The file is cut short or damaged."""


class UnknownEncoding(DataFileError):
    """The text cannot be decoded."""


class UnclosedQuote(DataFileError):
    """A quoted field begins and never ends."""


class MissingRole(DataFileError):
    """A column that is needed (user, item) was not found among the columns."""


class UnknownColumn(DataFileError):
    """A role was given to a column that the file does not have."""


class UnreadableColumn(DataFileError):
    """A column holds something else than its role needs: a rating column of text, a time that is no time."""


class NoUsableRows(DataFileError):
    """Every row was left out by cleaning."""


class MissingExtra(DataFileError):
    """The format needs an optional package that is not installed."""


class UnknownFormat(DataFileError):
    """No reader knows the content."""


class DamagedDataset(DataFileError):
    """A stored data set is incomplete, cut short, or made by a newer version."""


class ReadingStopped(RecSysError):
    """The person stopped the import; nothing was kept."""


class RepeatedRole(DataFileError):
    """Two columns of a file have a role that only one can have."""
