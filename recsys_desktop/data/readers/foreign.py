"""Tables from readers of plugins, which give a whole data frame."""

from __future__ import annotations

from pathlib import Path

from recsys_desktop.api.errors import RecSysError
from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.data.errors import DamagedFile
from recsys_desktop.data.readers.in_memory import ArrowTable
from recsys_desktop.data.request import ReadOptions
from recsys_desktop.data.table import SourceColumn


class FrameTable(ArrowTable):
    """The data frame of a plugin's reader as a Table.

    Raises
    ------
    DamagedFile: the reader failed, or gave something that is no data frame; the message names the reader.
    """

    def __init__(self, path: Path, spec: ReaderSpec, options: ReadOptions) -> None:
        import pyarrow as pa

        given = {name: value for name, value in options.to_dict().items() if name != "reader"}
        try:
            frame = spec.read(path, given)
            frame.columns = [str(name) for name in frame.columns]
            rows = pa.Table.from_pandas(frame, preserve_index=False)
        except RecSysError:
            raise
        except Exception as error:
            raise DamagedFile(path, f"the reader '{spec.id}' failed ({type(error).__name__}: {error})") from error
        columns = [SourceColumn(field.name, str(field.type)) for field in rows.schema]
        super().__init__(path, rows, columns, ReadOptions(reader=spec.id), {"format": spec.name})
