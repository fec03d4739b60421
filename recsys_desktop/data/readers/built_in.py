"""The readers that come with the application, the most particular first."""

from __future__ import annotations

from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.data.readers import delimited, excel, json_records, movielens, orange, parquet, recbole

BUILT_IN_READERS: tuple[ReaderSpec, ...] = (
    movielens.READER,
    recbole.READER,
    orange.READER,
    parquet.READER,
    json_records.LINES_READER,
    json_records.READER,
    excel.READER,
    delimited.READER,
)
