"""The fault table of docs/reliability.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "reliability.md"
ROWS = [
    line for line in TABLE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!fault|---)", line)
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_every_row_names_tests_that_exist(row: str) -> None:
    _, fault, what_happens, tests, _ = row.split("|")
    assert fault.strip()
    assert what_happens.strip()
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", tests)
    assert named, "a row without a test"
    for file, name in named:
        assert name in _functions(ROOT / file), f"{file} has no {name}"


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 20


def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
