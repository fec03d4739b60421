"""Times of files to seconds since 1970-01-01 UTC: Unix seconds to nanoseconds, ISO 8601, and common written dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recsys_desktop.data.values import convert_or_null, is_missing

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS = (
    ("s", "seconds", 1),
    ("ms", "milliseconds", 10**3),
    ("us", "microseconds", 10**6),
    ("ns", "nanoseconds", 10**9),
)
_LARGEST_SECONDS = 10**11
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+]?\d+)?$")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$")
_WRITTEN = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%m %d, %Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
)
_WRITTEN_WITH_NAMES = (
    "%d-%m-%Y",
    "%d %m %Y",
    "%d. %m %Y",
    "%m %d, %Y",
    "%m %d %Y",
    "%d-%m-%y",
    "%m %d %H:%M:%S %Y",
    "%m %d %H:%M:%S +0000 %Y",
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_ENDING = "[a-z]*\\.?"
_WEEKDAY = r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+"
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "T%H:%M:%S", ", %H:%M", ", %H:%M:%S")
_PLAIN_WORDS = {
    "%d": "day",
    "%m": "month",
    "%Y": "year",
    "%y": "year",
    "%H": "hour",
    "%I": "hour",
    "%M": "minute",
    "%S": "second",
    "%p": "AM/PM",
}
_SWAPPED = {"%d/%m": "%m/%d", "%d-%m": "%m-%d", "%m/%d": "%d/%m", "%m-%d": "%d-%m"}


@dataclass(frozen=True)
class TimeFormat:
    """How a column writes its times.

    kind: "unix", "iso" or "written". unit: of "unix", as "s". pattern: of "written", as for strptime. named_months:
    months are written as English names. ambiguous: the sample does not tell whether day or month comes first.
    """

    kind: str
    unit: str = "s"
    pattern: str = ""
    named_months: bool = False
    ambiguous: bool = False

    @property
    def words(self) -> str:
        """For display."""
        if self.kind == "unix":
            return "Unix " + next(words for unit, words, _ in _UNITS if unit == self.unit)
        if self.kind == "iso":
            return "ISO 8601"
        return "".join(_PLAIN_WORDS.get(part, part) for part in re.split("(%[A-Za-z])", self.pattern))

    @property
    def swapped(self) -> TimeFormat | None:
        """The same with day and month exchanged, or None where that makes no sense."""
        for written, other in _SWAPPED.items():
            if self.pattern.startswith(written) and not self.named_months:
                return TimeFormat(self.kind, self.unit, self.pattern.replace(written, other, 1))
        return None


def guess_time_format(values: Sequence[str]) -> TimeFormat | None:
    """The format that reads most of the values that are there; None where no format does.

    Numbers and ISO dates have to be more than half, since nothing else looks like them; written dates nine tenths.
    """
    present = [value.strip() for value in values if not is_missing(value)]
    if not present:
        return None
    half = len(present) / 2
    if sum(bool(_NUMBER.match(value)) for value in present) > half:
        largest = float(np.median([abs(float(value)) for value in present if _NUMBER.match(value)]))
        return TimeFormat("unix", unit_of(largest))
    if sum(bool(_ISO.match(value)) for value in present) > half:
        return TimeFormat("iso")
    return _guess_written(present, 0.9 * len(present))


def unit_of(typical: float) -> str:
    """The unit of a typical Unix time: moments between 1973 and 5138 are told apart by size."""
    for unit, _, factor in _UNITS:
        if typical < _LARGEST_SECONDS * factor:
            return unit
    return "ns"


def _guess_written(present: list[str], needed: float) -> TimeFormat | None:
    numbered = [_with_month_numbers(value) for value in present]
    named = sum(before != after for before, after in zip(present, numbered, strict=True)) >= needed
    fitting: list[str] = []
    for pattern in _WRITTEN_WITH_NAMES if named else _WRITTEN:
        for clock in _CLOCKS if "%H" not in pattern else ("",):
            whole = pattern + clock
            if (_reads(numbered[0], whole) or _reads(numbered[-1], whole)) and sum(
                _reads(value, whole) for value in numbered
            ) >= needed:
                fitting.append(whole)
    if not fitting:
        return None
    swapped = TimeFormat("written", pattern=fitting[0]).swapped
    ambiguous = not named and swapped is not None and swapped.pattern in fitting
    return TimeFormat("written", pattern=fitting[0], named_months=named, ambiguous=ambiguous)


def _with_month_numbers(text: str) -> str:
    """English month names as numbers, weekday names left out: what strptime reads in every locale."""
    text = re.sub(_WEEKDAY, "", text)
    for number, month in enumerate(_MONTHS, start=1):
        text = re.sub(rf"(?i)\b{month}{_MONTH_ENDING}", f"{number:02d}", text)
    return text


def _reads(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True


def looks_like_times(values: Sequence[str]) -> TimeFormat | None:
    """A time format where the values can hardly be anything else: dates, or Unix times after 1990."""
    found = guess_time_format(values)
    if found is None or found.kind != "unix":
        return found
    factor = next(factor for unit, _, factor in _UNITS if unit == found.unit)
    numbers = [float(value) / factor for value in values if not is_missing(value) and _NUMBER.match(value.strip())]
    return found if numbers and min(numbers) > 6e8 and max(numbers) < 5e9 else None


def seconds(array: pa.Array, time_format: TimeFormat) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Seconds since 1970-01-01 UTC: int64 (n,), and bool (n,), True where a value is missing or no time.

    array: text, numbers or Arrow timestamps. Times without a zone are taken as UTC; fractions of a second are cut off.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        converted = array.cast(pa.timestamp("us")).cast(pa.int64())
        return _split(pc.floor(pc.divide(converted.cast(pa.float64()), 1e6)).cast(pa.int64()))
    factor = next(factor for unit, _, factor in _UNITS if unit == time_format.unit)
    if pa.types.is_integer(array.type):
        return _divided(*_split(array.cast(pa.int64())), factor)
    if pa.types.is_floating(array.type):
        array = convert_or_null(pc.floor(array), lambda part: part.cast(pa.int64()), pa.int64())
        return _divided(*_split(array), factor)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    text = pc.utf8_trim_whitespace(array)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    if time_format.kind == "unix":
        whole = convert_or_null(text, _whole_numbers, pa.int64())
        return _divided(*_split(whole), factor)
    if time_format.kind == "iso":
        return _split(convert_or_null(text, _iso_seconds, pa.int64()))
    if time_format.named_months:
        text = pc.replace_substring_regex(text, _WEEKDAY, "")
        for number, month in enumerate(_MONTHS, start=1):
            text = pc.replace_substring_regex(text, rf"(?i)\b{month}{_MONTH_ENDING}", f"{number:02d}")
    parsed = pc.strptime(text, format=time_format.pattern, unit="s", error_is_null=True)
    return _split(parsed.cast(pa.int64()))


def _split(array: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    bad = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else np.zeros(len(array), dtype=np.bool_)
    filled = array.fill_null(0) if array.null_count else array
    return filled.to_numpy(zero_copy_only=False), bad


def _divided(
    values: npt.NDArray[np.int64], bad: npt.NDArray[np.bool_], factor: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    return (values if factor == 1 else values // factor), bad


def _whole_numbers(text: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return text.cast(pa.int64())
    except pa.ArrowInvalid:
        return pc.floor(text.cast(pa.float64())).cast(pa.int64())


def _iso_seconds(text: pa.Array) -> pa.Array:
    import pyarrow as pa

    for target in (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("s", "UTC"), pa.timestamp("us", "UTC")):
        try:
            moments = text.cast(target)
        except pa.ArrowInvalid:
            continue
        counts = moments.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return pa.array(counts // 10**6 if target.unit == "us" else counts, pa.int64())
    if len(text) == 1:
        return pa.array([_iso_by_python(text[0].as_py())], pa.int64())
    raise pa.ArrowInvalid("not one ISO 8601 form")


def _iso_by_python(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() // 1)
