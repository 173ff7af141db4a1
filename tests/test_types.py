"""What passes between the parts is validated and prints itself for a person."""

from __future__ import annotations

import pytest

from interlace.types import EvalReport, Prediction


def test_a_prediction_prints_labels_and_percent() -> None:
    prediction = Prediction(
        path="a.mp4", top=(("wave", 0.75), ("clap", 0.25)), start_seconds=1.0, end_seconds=3.5
    )
    assert str(prediction) == "a.mp4 [1.0-3.5 s]: wave 75.0%, clap 25.0%"
    assert (prediction.label, prediction.score) == ("wave", 0.75)


def test_a_prediction_must_be_sorted_and_not_empty() -> None:
    with pytest.raises(ValueError, match="not sorted best first"):
        Prediction(path="a.mp4", top=(("clap", 0.25), ("wave", 0.75)))
    with pytest.raises(ValueError, match=r"a\.mp4 has none"):
        Prediction(path="a.mp4", top=())


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_must_be_a_number(score: float) -> None:
    with pytest.raises(ValueError, match=r"the scores of a\.mp4 are not finite"):
        Prediction(path="a.mp4", top=(("wave", score), ("clap", 0.25)))


def test_a_report_prints_its_protocol_and_what_was_skipped() -> None:
    report = EvalReport("1clip-center", {"top1": 51.25}, num_clips=80, skipped=(("bad.mp4", "empty"),))
    assert str(report) == "1clip-center, 80 clips, 1 skipped: top1 51.25"
