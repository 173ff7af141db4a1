"""What is to be worked on: files, folders and patterns, or Parquet tables with a column of paths."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlace.corpus.arrow import PATH, pyarrow
from interlace.corpus.plan import digests
from interlace.corpus.store import filesystem
from interlace.inference.batch import expand

CLASH = "input_"
"""Before the name of a column of the input that the answers have, too."""


@dataclass(frozen=True)
class Inputs:
    """One row for each video that is to be worked on."""

    paths: tuple[str | None, ...]
    """None where a table has none."""
    carried: Any = None
    """The other columns of the table that they come from; None where they come from none."""

    def digests(self) -> list[str]:
        """See :func:`interlace.corpus.plan.digests`."""
        others: Sequence[dict[str, Any]] = (
            [{}] * len(self.paths) if self.carried is None else self.carried.to_pylist()
        )
        return digests(_content(*row) for row in zip(self.paths, others, strict=True))

    def take(self, positions: Sequence[int]) -> Inputs:
        """Some of the rows."""
        carried = None if self.carried is None else self.carried.take(list(positions))
        return Inputs(tuple(self.paths[i] for i in positions), carried)


def _content(path: str | None, others: dict[str, Any]) -> bytes:
    told = json.dumps(others, sort_keys=True, default=repr) if others else ""
    return b"" if path is None else os.fsencode(path) + b"\0" + told.encode()


def read_inputs(names: Sequence[str], column: str | None, answers: Collection[str]) -> Inputs:
    """The rows that some names mean.

    Args:
        names: Videos, folders of them and patterns; with a ``column`` Parquet files, folders of them, or URLs.
        column: Of the paths in the Parquet tables. Paths that are not absolute begin where the command runs.
        answers: Columns that the output will have; where the input has one of that name, it is carried as
            ``input_NAME``.

    Raises:
        ValueError: there is no video, no table or no such column, or what reads it is not installed.

    Example:
        >>> from interlace.corpus.inputs import read_inputs
        >>> read_inputs(["a.mp4", "b.mp4", "a.mp4"], None, ()).paths
        ('a.mp4', 'b.mp4')
    """
    if column is None:
        tables = [name for name in names if name.endswith(".parquet")]
        if tables:
            raise ValueError(
                f"{tables[0]}: a table of paths; say in which column they are with --column NAME"
            )
        return Inputs(tuple(str(path) for path in expand(names)))
    pa = pyarrow("--column")
    tables = [_read(name) for name in names]
    for name, table in zip(names, tables, strict=True):
        _check_column(name, table, column)
    try:
        joined = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{', '.join(names)}: their columns do not fit together ({error})") from error
    paths = tuple(joined[column].to_pylist())
    others = joined.drop_columns([column])
    taken = {PATH, *answers}
    renamed = [CLASH + name if name in taken else name for name in others.column_names]
    if len(set(renamed)) < len(renamed):
        raise ValueError(f"{', '.join(names)}: columns would be called {renamed} in the output; rename some")
    return Inputs(paths, others.rename_columns(renamed) if renamed else None)


def _read(name: str) -> Any:
    pa = pyarrow("--column")
    place, system = str(Path(name)) if "://" not in name else name, None
    if "://" in name:
        system, place = filesystem(name)
    try:
        return pa.parquet.read_table(place, filesystem=system)
    except FileNotFoundError as error:
        raise ValueError(f"{name}: there is no such Parquet file or folder") from error
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{name}: cannot be read as Parquet ({error})") from error


def _check_column(name: str, table: Any, column: str) -> None:
    pa = pyarrow("--column")
    if column not in table.column_names:
        raise ValueError(f"{name}: has no column {column!r}; it has {', '.join(table.column_names)}")
    kind = table.schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise ValueError(f"{name}: column {column!r} holds {kind}, not the paths of videos")
