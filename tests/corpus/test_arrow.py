"""Answers as tables."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from interlace.corpus.arrow import about_parquet, feature_schema, prediction_schema, to_parquet, to_table


@pytest.mark.parametrize("shape", [(7,), (3, 7)])
def test_arrays_are_lists_of_fixed_length_and_missing_ones_null(shape: tuple[int, ...]) -> None:
    values = np.arange(2 * np.prod(shape), dtype=np.float32).reshape(2, *shape)
    rows = [{"frames": values[0]}, {"error": "no video"}, {"frames": values[1], "notes": ["odd"]}]
    table = to_table(["a", "b", "c"], rows, feature_schema("frames", shape))
    read = pa.parquet.read_table(io.BytesIO(to_parquet(table, {"rows": []})))
    assert pa.types.is_fixed_size_list(read.schema.field("frames").type)
    assert read["frames"].to_pylist() == [values[0].tolist(), None, values[1].tolist()]
    assert read["error"].to_pylist() == [None, "no video", None]
    assert read["notes"].to_pylist() == [None, None, ["odd"]]


def test_a_part_of_failures_alone_has_all_columns() -> None:
    table = to_table(["a"], [{"error": "gone"}], prediction_schema(), pa.table({"id": [4]}))
    assert table.column_names == ["path", *prediction_schema().names, "id"]
    assert table.to_pylist()[0] == {
        **dict.fromkeys(table.column_names),
        "path": "a",
        "error": "gone",
        "id": 4,
    }


def test_a_part_says_what_it_holds() -> None:
    content = to_parquet(pa.table({"path": ["a"]}), {"rows": ["0a"], "failed": 1})
    assert about_parquet(io.BytesIO(content), "part") == {"rows": ["0a"], "failed": 1}
    for damaged in (b"", content[:-9], b"x" * 99):
        with pytest.raises(ValueError, match=r"part-1: not a whole part .* remove it"):
            about_parquet(io.BytesIO(damaged), "part-1")
    file = io.BytesIO()
    pa.parquet.write_table(pa.table({"path": ["a"]}), file)
    with pytest.raises(ValueError, match="not a whole part"):
        about_parquet(io.BytesIO(file.getvalue()), "part-1")
