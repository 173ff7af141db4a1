from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlace.data.annotations import Annotations, Sample
from interlace.evaluation.output import claim_folder, clips_sha256, file_sha256

DETAILS = {
    "average": "logits",
    "views": {"num_clips": 2, "crops": "full"},
    "checkpoints": [{"path": "a", "sha256": "12", "weight": 1.0}],
    "data_sha256": "34",
    "precision": "32",
}


def _earlier(folder: Path, **changes: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({"protocol": "full-res", **DETAILS, **changes}))
    (folder / "predictions.csv").write_text("old")
    (folder / "mine.txt").write_text("keep")


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    assert claim_folder(tmp_path / "a" / "b", "full-res", DETAILS).is_dir()


def test_the_same_evaluation_is_replaced_and_strangers_stay(tmp_path: Path) -> None:
    _earlier(tmp_path, date="yesterday")
    claim_folder(tmp_path, "full-res", DETAILS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_sha256": "99"}, "other clips"),
        ({"average": "probabilities"}, "other average"),
        ({"protocol": "1clip-center"}, "other protocol"),
        ({"checkpoints": [{"path": "a", "sha256": "13", "weight": 1.0}]}, "other weights of the network"),
    ],
)
def test_another_evaluation_is_not_lost(tmp_path: Path, changes: dict, said: str) -> None:
    _earlier(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"holds another evaluation .*{said}.*another output folder"):
        claim_folder(tmp_path, "full-res", DETAILS)
    assert (tmp_path / "predictions.csv").read_text() == "old"
    claim_folder(tmp_path, "full-res", DETAILS, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_predictions_of_unknown_origin_are_not_lost(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("somebody's")
    with pytest.raises(ValueError, match=r"without a readable metrics\.json"):
        claim_folder(tmp_path, "full-res", DETAILS)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        claim_folder(tmp_path / "file", "full-res", DETAILS)


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf")
    a, b = Sample(Path("a.mp4"), (0,)), Sample(Path("b.mp4"), (1,))
    first = clips_sha256(Annotations((a, b), ("x", "y"), source="one"))
    assert clips_sha256(Annotations((b, a), ("x", "y"), source="other")) == first
    assert clips_sha256(Annotations((a,), ("x", "y"), source="one")) != first
    assert clips_sha256(Annotations((a, b), ("y", "x"), source="one")) != first
