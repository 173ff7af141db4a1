"""The tables that go in and come out: rows of paths, rows of answers, and Parquet files of both.

pyarrow is an extra: it is imported in the functions.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

PATH = "path"
ABOUT = b"interlace"
"""Key of what a part says of itself in its schema: the digests of its rows, and how many of them failed."""
Row = dict[str, Any]
"""Of a table that is to be written: column to value, columns that are not there are null."""


def pyarrow(what: str) -> ModuleType:
    """The library, with an error that says how to get it.

    Raises:
        ValueError: it is not installed.

    Example:
        >>> from interlace.corpus.arrow import pyarrow
        >>> pyarrow("a .parquet file").__name__
        'pyarrow'
    """
    try:
        import pyarrow as library
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(f'{what} needs pyarrow ({error}); pip install "interlace[ray]"') from error
    return library


def prediction_schema() -> Any:
    """The columns of predictions behind the path: one row for a video, or for each window of its timeline.

    Example:
        >>> from interlace.corpus.arrow import prediction_schema
        >>> prediction_schema().names
        ['start_seconds', 'end_seconds', 'label', 'score', 'top_labels', 'top_scores', 'notes', 'error']
    """
    pa = pyarrow("a table of predictions")
    return pa.schema(
        [
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("label", pa.string()),
            ("score", pa.float64()),
            ("top_labels", pa.list_(pa.string())),
            ("top_scores", pa.list_(pa.float64())),
            ("notes", pa.list_(pa.string())),
            ("error", pa.string()),
        ]
    )


def feature_schema(what: str, shape: tuple[int, ...]) -> Any:
    """The columns of features behind the path: lists of a fixed length, and for frames lists of such lists.

    Example:
        >>> from interlace.corpus.arrow import feature_schema
        >>> print(feature_schema("features", (512,)).field("features").type)
        fixed_size_list<item: float>[512]
    """
    pa = pyarrow("a table of features")
    kind = pa.float32()
    for size in reversed(shape):
        kind = pa.list_(kind, size)
    return pa.schema([(what, kind), ("notes", pa.list_(pa.string())), ("error", pa.string())])


def to_table(paths: Sequence[str], rows: Sequence[Row], schema: Any, carried: Any = None) -> Any:
    """Rows of answers as a table: the path, the answer, and the columns of the input that are carried along.

    Args:
        paths: Of each row.
        rows: Their answers; arrays in them have the shape that the schema says.
        schema: Of the answers.
        carried: A table with as many rows.

    Example:
        >>> from interlace.corpus.arrow import prediction_schema, to_table
        >>> table = to_table(["a.mp4"], [{"error": "the file is empty"}], prediction_schema())
        >>> table["path"].to_pylist(), table["label"].to_pylist(), table["error"].to_pylist()
        (['a.mp4'], [None], ['the file is empty'])
    """
    pa = pyarrow("a table of answers")
    columns = {PATH: pa.array([printable(path) for path in paths], pa.string())}
    for field in schema:
        values = [row.get(field.name) for row in rows]
        is_fixed = pa.types.is_fixed_size_list(field.type)
        columns[field.name] = _fixed(values, field.type) if is_fixed else pa.array(values, field.type)
    for name in carried.column_names if carried is not None else ():
        columns[name] = carried[name]
    return pa.table(columns)


def _fixed(values: Sequence[np.ndarray | None], kind: Any) -> Any:
    """Arrays, or nulls, as lists of a fixed length (of lists of a fixed length)."""
    pa = pyarrow("a table of features")
    sizes = []
    while pa.types.is_fixed_size_list(kind):
        sizes.append(kind.list_size)
        kind = kind.value_type
    numbers = np.zeros((len(values), *sizes), np.float32)
    for row, value in zip(numbers, values, strict=True):
        if value is not None:
            row[...] = value
    column = pa.array(numbers.reshape(-1))
    for size in reversed(sizes[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(column, sizes[0], mask=missing)


def to_parquet(table: Any, about: Mapping[str, Any]) -> bytes:
    """A table as a Parquet file that says something of itself.

    Example:
        >>> import io, pyarrow
        >>> from interlace.corpus.arrow import about_parquet, to_parquet
        >>> content = to_parquet(pyarrow.table({"path": ["a.mp4"]}), {"failed": 1})
        >>> about_parquet(io.BytesIO(content), "part-1.parquet")
        {'failed': 1}
    """
    pa = pyarrow("a .parquet file")
    file = io.BytesIO()
    about_bytes = {ABOUT: json.dumps(about).encode()}
    pa.parquet.write_table(table.replace_schema_metadata(about_bytes), file, compression="zstd")
    return file.getvalue()


def about_parquet(file: Any, name: str) -> dict[str, Any]:
    """What a Parquet file of ours says of itself; its rows are not read.

    Raises:
        ValueError: it is none of ours, or not whole.

    Example:
        >>> import io
        >>> from interlace.corpus.arrow import about_parquet
        >>> about_parquet(io.BytesIO(), "part-1.parquet")
        Traceback (most recent call last):
        ValueError: part-1.parquet: not a whole part of this job (...); remove it, and its videos are done again
    """
    pa = pyarrow("a .parquet file")
    try:
        about = json.loads(pa.parquet.read_schema(file).metadata[ABOUT])
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: not a whole part of this job ({error}); remove it, and its videos are done again"
        ) from error
    return dict(about)


def printable(path: str) -> str:
    """File names are bytes; what is no UTF-8 in them is shown as a replacement character.

    Example:
        >>> import os
        >>> from interlace.corpus.arrow import printable
        >>> printable(os.fsdecode(b"a.mp4"))
        'a.mp4'
    """
    return os.fsencode(path).decode("utf-8", "replace")
