from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tables

ROOT = Path(__file__).resolve().parents[2]
TARGET = tables.Target("a / b", 1.05, "network", ["case 1", "case 2"], "tin", published="published tin")


def results(*ratios: float) -> dict[str, dict[str, Any]]:
    origin = {"commit": "0123456789", "machine": {"cpu": "a processor"}, "threads": 2}
    return {
        "network": {
            f"case {number}": {"rows": {"tin": {"ratio": ratio}, "published tin": {"ratio": 2.0}}, **origin}
            for number, ratio in enumerate(ratios, 1)
        }
    }


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [((1.0, 1.05), "met"), ((1.0, 1.06), "not met"), ((1.0,), "not measured"), ((), "not measured")],
)
def test_the_worst_case_decides(ratios: tuple[float, ...], verdict: str) -> None:
    assert TARGET.verdict(results(*ratios)) == verdict


def test_where_more_is_better() -> None:
    target = tables.Target("bytes", 0.8, "network", ["case 1", "case 2"], "tin", sense=">=")
    assert target.verdict(results(0.9, 0.8)) == "met"
    assert target.verdict(results(0.9, 0.79)) == "not met"
    assert target.worst([0.9, 0.79]) == 0.79


def test_the_table_states_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ALL", (TARGET,))
    assert tables.targets_table(results(1.0, 1.1)).splitlines()[2:] == [
        "| a / b | 2.00 | <= 1.05 | 1.100 (1.00, 1.10) | not met |"
    ]
    assert tables.targets_table({}).splitlines()[2:] == ["| a / b |  | <= 1.05 |  | not measured |"]
    assert tables.origin(results(1.0, 1.1)) == "Measured with 01234567 on a processor, 2 threads."


def test_nothing_measured_is_said() -> None:
    rows = tables.targets_table({}).splitlines()[2:]
    assert len(rows) == len(tables.ALL)
    assert all(row.endswith("| not measured |") for row in rows)
    assert "| TIN |  |" in tables.times_table({})


def test_the_newest_measurement_of_each_case_counts(tmp_path: Path) -> None:
    entry = {"commit": "a", "machine": {}, "threads": 1}
    history = [
        {"commit": "0", "threads": 1, "results": {"of an earlier script": {}}},
        {**entry, "results": {"x": {"tin": {"ratio": 1.0}}, "y": {"tin": {"ratio": 2.0}}}},
        {**entry, "commit": "b", "results": {"x": {"tin": {"ratio": 3.0}}}},
    ]
    (tmp_path / "network.json").write_text(json.dumps(history))
    found = tables.newest(tmp_path)["network"]
    assert {case: (rows["commit"], rows["rows"]["tin"]["ratio"]) for case, rows in found.items()} == {
        "x": ("b", 3.0),
        "y": ("a", 2.0),
    }


def test_markers() -> None:
    text = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    new = tables.between_markers(text, "| new |", Path("README.md"))
    assert new == f"before\n{tables.BEGIN}\n| new |\n{tables.END}\nafter\n"
    assert tables.between_markers(new, "| new |", Path("README.md")) == new
    with pytest.raises(ValueError, match=r"README\.md needs the lines <!-- speed:begin -->"):
        tables.between_markers("no markers", "x", Path("README.md"))


def test_the_readme_has_the_table_of_the_results() -> None:
    readme = ROOT / "README.md"
    part = tables.readme_part(tables.newest(ROOT / "benchmarks" / "results"))
    assert tables.between_markers(readme.read_text(), part, readme) == readme.read_text(), (
        "run `python benchmarks/tables.py --write README.md`"
    )
