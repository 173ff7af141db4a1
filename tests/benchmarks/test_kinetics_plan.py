"""The plan for Kinetics-700: its arithmetic by hand, and that the document shows what follows from the records."""

from __future__ import annotations

import json

import pytest

import kinetics_plan
from kinetics_plan import Costs, Given, plan

COSTS = Costs(megabytes=0.5, core_seconds=0.1, parameters=25_000_000, gmacs=50.0, input_megabytes=2.0)
GIVEN = Given(nodes=4, gpus_per_node=2, clips_per_gpu=10, cores_per_gpu=8, gigabit_per_second=10.0, epochs=3)


def test_training_clips_are_those_left() -> None:
    assert Given().train_clips == 650_317 - 35_000 - 70_000
    assert Given().gpus == 64


def test_gpus_are_the_limit() -> None:
    found = plan(GIVEN, COSTS, tflop_per_second=15.0)
    assert found.tflop_per_clip == pytest.approx(0.3)
    assert found.gpu_clips_per_second == pytest.approx(50)
    assert found.cores_wanted == pytest.approx(5)
    assert found.clips_per_second == pytest.approx(50)
    assert found.busy == pytest.approx(1)
    assert found.epoch_seconds == pytest.approx(545_317 / (50 * 8))
    assert found.total_hours == pytest.approx(3 * 545_317 / (50 * 8) / 3600)
    assert found.terabytes == pytest.approx(0.3251585)
    assert found.read_megabytes_per_second == pytest.approx(50 * 2 * 0.5)
    assert found.gradient_gigabytes == pytest.approx(2 * 3 / 4 * 0.1)
    # 0.15 GB are 1.2 gigabit: 0.12 s on the wire, of a step of 10 clips at 50 a second
    assert found.gradient_share == pytest.approx(0.12 / 0.2)
    assert found.waiting_gigabytes == pytest.approx(2 * 8 * 2 * 10 * 2.0 / 1000)


def test_cores_are_the_limit() -> None:
    found = plan(GIVEN, COSTS, tflop_per_second=60.0)
    assert found.cores_wanted == pytest.approx(20)
    assert found.clips_per_second == pytest.approx(80)
    assert found.busy == pytest.approx(0.4)


def test_written_between_the_marks(tmp_path) -> None:
    document = tmp_path / "scaling.md"
    document.write_text(f"before\n{kinetics_plan.BEGIN}\nold\n{kinetics_plan.END}\nafter\n")
    kinetics_plan.write("new", document)
    assert document.read_text() == f"before\n{kinetics_plan.BEGIN}\nnew\n{kinetics_plan.END}\nafter\n"
    document.write_text("nothing\n")
    with pytest.raises(ValueError, match="are not in it"):
        kinetics_plan.write("new", document)


def test_the_document_follows_from_the_records() -> None:
    assert kinetics_plan.tables(Given(), kinetics_plan.newest_costs()) in kinetics_plan.DOCUMENT.read_text()


@pytest.mark.real_data
def test_measured_costs_are_those_of_the_files(videos_of_plan) -> None:
    rows = kinetics_plan.measure(rounds=1)
    assert rows["short side 256"]["megabytes"] == pytest.approx(0.635539)
    assert rows["720p"]["core_seconds"] > rows["short side 256"]["core_seconds"] > 0
    assert json.loads(json.dumps(rows)) == rows


@pytest.fixture
def videos_of_plan() -> None:
    if not kinetics_plan.VIDEOS.is_dir():
        pytest.skip("../shared/data/odd_videos is not here; the costs are those of two clips in it")
