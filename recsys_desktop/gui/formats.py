"""Numbers, times and dates as the window writes them, in the locale of the person."""

from __future__ import annotations

import math
from datetime import datetime

from PySide6.QtCore import QDateTime, QLocale

THIN_SPACE = "\u202f"
DASH = "\u2014"


def locale() -> QLocale:
    """The person's locale; English where the system names none, so that thousands are separated all the same."""
    own = QLocale()
    return QLocale(QLocale.Language.English) if own.language() == QLocale.Language.C else own


def integer(value: float) -> str:
    """Write a count with separated thousands: ``100,004``."""
    return locale().toString(round(value))


def decimal(value: float, digits: int = 2) -> str:
    """Write a number with a fixed count of decimals; a dash when it is not a number."""
    if value is None or not math.isfinite(value):
        return DASH
    return locale().toString(float(value), "f", digits)


def share(value: float, digits: int = 4) -> str:
    """Write a figure between 0 and 1 without its leading zero, as tables of metrics do: ``.2702``."""
    text = decimal(value, digits)
    zero_and_point = "0" + locale().decimalPoint()
    for sign in ("", "-", "\u2212"):
        if text.startswith(sign + zero_and_point):
            return sign + text[len(sign) + 1 :]
    return text


def percent(value: float, digits: int = 0) -> str:
    """Write a share as a percentage: ``46 %``."""
    return DASH if value is None or not math.isfinite(value) else f"{decimal(100 * value, digits)}{THIN_SPACE}%"


def confidence(value: float) -> str:
    """Write a probability that a person judges by: ``46 %``, below a tenth ``1.3 %``, and ``< 0.1 %`` at the least."""
    if 0 < value < 0.0005:
        return f"<{THIN_SPACE}{percent(0.001, 1)}"
    return percent(value, 1 if abs(value) < 0.1 else 0)


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign: ``+0.31``."""
    text = decimal(abs(value), digits)
    if text == decimal(0.0, digits):
        return text
    return ("+" if value > 0 else "\u2212") + text


def short(value: float) -> str:
    """Write a number for the axis of a chart: ``29k``, ``1.5M``, ``.15``, ``4``."""
    magnitude = abs(value)
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if magnitude >= limit:
            return f"{locale().toString(value / limit, 'g', 3)}{suffix}"
    if value == round(value):
        return str(round(value))
    text = locale().toString(value, "g", 3)
    point = locale().decimalPoint()
    return text.replace("0" + point, point, 1) if magnitude < 1 and "e" not in text else text


def number(value: float) -> str:
    """Write a number as it is, with its leading zero and no decimals that say nothing: ``0.5``, ``4``."""
    return locale().toString(float(value), "g", 6)


def attribute(value: float) -> str:
    """Write a number out of the person's own data: ``1995``, ``12,000``, ``7.25``.

    Whole numbers below ten thousand have no separator, so that a year reads as one.
    """
    if not math.isfinite(value):
        return DASH
    if value != round(value):
        return number(value)
    return str(round(value)) if abs(value) < 10_000 else integer(value)


def file_size(size: float) -> str:
    """Write a count of bytes: ``2.3 MB``; decimal units, as file managers do."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{decimal(size / limit, 1 if size < 100 * limit else 0)} {unit}"
    return f"{round(size)} bytes"


def duration(seconds: float | None) -> str:
    """Write a time span: ``45 ms``, ``0.2 s``, ``48 s``, ``3 min``, ``2 h 05 min``."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if 0 < seconds < 0.1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{decimal(seconds, 1)} s"
    if seconds < 120:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def month(seconds: float) -> str:
    """Write the month of a moment given in seconds since 1970, UTC: ``Jan 1995``."""
    if not math.isfinite(seconds):
        return DASH
    return locale().toString(QDateTime.fromSecsSinceEpoch(int(seconds)).toUTC(), "MMM yyyy")


def when(moment: datetime, now: datetime | None = None) -> str:
    """Write how long ago a moment was: ``just now``, ``yesterday``, ``3 days ago``, then its date."""
    moment = moment.astimezone()
    now = now.astimezone() if now is not None else datetime.now().astimezone()
    days = (now.date() - moment.date()).days
    if days <= 0:
        minutes = int((now - moment).total_seconds() // 60)
        if minutes < 1:
            return "just now"
        return f"{minutes} min ago" if minutes < 60 else f"{minutes // 60} h ago"
    if days == 1:
        return "yesterday"
    if days < 7:
        return f"{days} days ago"
    if days < 14:
        return "last week"
    return locale().toString(
        QDateTime.fromSecsSinceEpoch(int(moment.timestamp())).date(), QLocale.FormatType.ShortFormat
    )


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: ``1 rating``, ``2,161 ratings``."""
    return f"{integer(count)} {one if count == 1 else many or one + 's'}"
