"""Text to numbers and moments, a column at a time: what fails is marked, never guessed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_TEXTS = frozenset(("", "na", "n/a", "nan", "null", "none", "nil", "\\n", "?", "-", "unknown"))
"""What stands for a missing value in an attribute or a rating, case-folded; never in an id."""

_LEAF = 64


def is_missing(text: str) -> bool:
    """Whether an attribute's text means that there is no value."""
    return text.strip().casefold() in MISSING_TEXTS


def trimmed(array: pa.Array) -> pa.Array:
    """Text (or a dictionary of text) without surrounding white space; nulls become empty text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        dictionary = pc.utf8_trim_whitespace(array.dictionary)
        if array.indices.null_count:
            dictionary = pa.concat_arrays([dictionary, pa.array([""], dictionary.type)])
            indices = pc.fill_null(array.indices, pa.scalar(len(dictionary) - 1, array.indices.type))
        elif dictionary.equals(array.dictionary):
            return array
        else:
            indices = array.indices
        distinct = dictionary.dictionary_encode()
        codes = distinct.indices.to_numpy()[indices.to_numpy()].astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(codes), distinct.dictionary)
    return pc.fill_null(pc.utf8_trim_whitespace(array), "")


def as_text(array: pa.Array) -> pa.Array:
    """Any Arrow array as text: whole numbers without a decimal point, moments as ISO, lists left as they are.

    Text and dictionaries of text are returned unchanged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_string(kind.value_type):
            if kind.index_type == pa.int32():
                return array
            return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), array.dictionary)
        return as_text(array.dictionary_decode())
    if pa.types.is_string(kind):
        return array
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.ListArray.from_arrays(
            pc.cast(_list_offsets(array), pa.int32()), as_text(array.flatten()), mask=array.is_null()
        )
    if pa.types.is_floating(kind):
        values = array.cast(pa.float64())
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        if pc.all(pc.fill_null(whole, True)).as_py():
            return values.cast(pa.int64()).cast(pa.string())
        return values.cast(pa.string())
    if pa.types.is_null(kind):
        return pa.array([""] * len(array), pa.string())
    return array.cast(pa.string())


def _list_offsets(array: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))


def convert_or_null(array: pa.Array, convert: Callable[[pa.Array], pa.Array], target: pa.DataType) -> pa.Array:
    """`convert(array)`, with null for every value that it refuses; the array is halved until the culprits are alone."""
    import pyarrow as pa

    try:
        return convert(array)
    except pa.ArrowInvalid:
        if len(array) == 1:
            return pa.nulls(1, target)
    if len(array) <= _LEAF:
        parts = [convert_or_null(array.slice(position, 1), convert, target) for position in range(len(array))]
    else:
        middle = len(array) // 2
        parts = [
            convert_or_null(array.slice(0, middle), convert, target),
            convert_or_null(array.slice(middle), convert, target),
        ]
    return pa.concat_arrays(parts)


def numbers(array: pa.Array, decimal: str = ".") -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Numbers of a text or numeric array.

    Returns float64 (n,), NaN where missing or unparsable (and where the text says NaN), and bool (n,), True where text
    stands that is no number and does not mean a missing value.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        values, bad = numbers(array.dictionary, decimal)
        indices = array.indices.to_numpy(zero_copy_only=False)
        if array.indices.null_count:
            values, bad = np.append(values, np.nan), np.append(bad, False)
            indices = np.where(np.isnan(indices), len(values) - 1, indices).astype(np.int64)
        return values[indices], bad[indices]
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return array.cast(pa.float64()).to_numpy(zero_copy_only=False), np.zeros(len(array), dtype=np.bool_)
    return _numbers_of_text(array, decimal)


def _numbers_of_text(array: pa.Array, decimal: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(array)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    if decimal == ",":
        text = pc.replace_substring(text, ",", ".")
    converted = convert_or_null(text, lambda part: part.cast(pa.float64()), pa.float64())
    values = converted.to_numpy(zero_copy_only=False)
    bad = np.zeros(len(array), dtype=np.bool_)
    if converted.null_count:
        values = values.copy()
        for position in np.flatnonzero(converted.is_null().to_numpy(zero_copy_only=False)):
            raw = str(text[int(position)].as_py() or "")
            if not is_missing(raw):
                number = _number(raw)
                values[position], bad[position] = number, math.isnan(number)
    return values, bad


def _number(text: str) -> float:
    """A number that Arrow does not read (a leading plus, a trailing point), or NaN."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
