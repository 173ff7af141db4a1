"""The picture of accuracy against latency: what is in it, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import accuracy_latency
from studies.every import STUDIES
from studies.utd import FAMILIES

STUDY = STUDIES[accuracy_latency.STUDY]


def test_accuracies_are_of_those_that_have_results() -> None:
    tsm, *_ = STUDY.jobs(arms=["tsm"])
    assert accuracy_latency.accuracies(STUDY, {tsm.key: {"top1": 70.5}}) == {"tsm": 70.5}


def test_every_family_has_its_place(tmp_path: Path) -> None:
    accuracy = {arm.name: 50.0 + place for place, arm in enumerate(FAMILIES)}
    ratio = {arm.name: 1 + place / 10 for place, arm in enumerate(FAMILIES)}
    accuracy_latency.draw(accuracy, ratio, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_family_that_was_never_timed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="eco_lite: in the study, but never timed"):
        accuracy_latency.draw({"tsm": 70.0, "eco_lite": 60.0}, {"tsm": 1.0}, tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()


def test_the_families_are_timed_beside_tsn() -> None:
    few = replace(STUDY, arms=tuple(arm for arm in STUDY.arms if arm.name in ("tsn", "tin")))
    rows = {row["family"]: row for row in accuracy_latency.measure(few, rounds=1)}
    assert list(rows) == ["tsn", "tin"]
    assert rows["tsn"]["ratio"] == 1
    assert rows["tin"]["ratio"] > 0
