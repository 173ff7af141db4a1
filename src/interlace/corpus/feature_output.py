"""The file of features: a safetensors matrix with paths in its header, or a Parquet table; written row by row."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from interlace.corpus.arrow import ABOUT, PATH, feature_schema, pyarrow, to_table
from interlace.files import whole_file

HEADER = ABOUT.decode()
ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class Answer:
    """What is known of one video."""

    path: str
    value: Callable[[], np.ndarray] | None
    """Reads it; None for a video that failed."""
    notes: tuple[str, ...]
    error: str | None


def write_safetensors(
    output: Path, answers: Sequence[Answer], what: str, shape: tuple[int, ...], about: Mapping[str, Any]
) -> None:
    """A matrix of the videos that did not fail; in the header as JSON their ``paths``, and ``notes`` and ``errors``.

    Written by hand, since the library would hold the matrix in memory: eight bytes for the length of the header, the
    header, the numbers.
    """
    good = [answer for answer in answers if answer.value is not None]
    metadata = {
        "paths": json.dumps([answer.path for answer in good]),
        "notes": json.dumps({answer.path: answer.notes for answer in good if answer.notes}),
        "errors": json.dumps({answer.path: answer.error for answer in answers if answer.error is not None}),
        HEADER: json.dumps(about),
    }
    size = 4 * len(good) * int(np.prod(shape))
    tensor = {"dtype": "F32", "shape": [len(good), *shape], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, what: tensor}).encode()
    header += b" " * (-len(header) % 8)
    with whole_file(output) as beside, beside.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for answer in good:
            assert answer.value is not None
            file.write(np.ascontiguousarray(answer.value(), "<f4").tobytes())


def write_parquet(
    output: Path, answers: Sequence[Answer], what: str, shape: tuple[int, ...], about: Mapping[str, Any]
) -> None:
    """A row for each video: path, the values as a list of fixed length, notes, error."""
    pa = pyarrow(f"{output}: a .parquet file")
    columns = feature_schema(what, shape)
    schema = pa.schema([(PATH, pa.string()), *columns], metadata={ABOUT: json.dumps(about).encode()})
    with whole_file(output) as beside, pa.parquet.ParquetWriter(beside, schema, compression="zstd") as file:
        for first in range(0, len(answers), ROWS_AT_A_TIME):
            some = answers[first : first + ROWS_AT_A_TIME]
            rows = [
                {
                    what: None if answer.value is None else answer.value(),
                    "notes": None if answer.value is None else list(answer.notes),
                    "error": answer.error,
                }
                for answer in some
            ]
            file.write_table(to_table([answer.path for answer in some], rows, columns))


def errors_in(output: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What a finished file says of how it was made, and the videos that failed.

    Raises:
        ValueError: it is no file of ours.
    """
    try:
        if output.suffix == ".parquet":
            pa = pyarrow(f"{output}: a .parquet file")
            table = pa.parquet.read_table(output, columns=[PATH, "error"])
            errors = {row[PATH]: row["error"] for row in table.to_pylist() if row["error"] is not None}
            return json.loads(table.schema.metadata[ABOUT]), errors
        with safe_open(output, framework="numpy") as file:
            metadata = file.metadata()
        return json.loads(metadata[HEADER]), json.loads(metadata["errors"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{output}: is there, and is no file of features ({error}); name another output"
        ) from error
