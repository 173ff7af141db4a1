from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet
from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import Extractor
from interlace.audiovisual.features.feature_store import store_features
from interlace.audiovisual.features.visual_features import create_visual_extractor
from interlace.audiovisual.timelines.open_timelines import open_timelines
from interlace.audiovisual.timelines.timeline_file import save_timelines


def test_ave_is_known_by_its_annotations(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "Annotations.txt").write_text("Bark&3jS8tWfLJxI&good&7&9\n")
    with pytest.raises(ValueError, match=r"labels\.h5 is missing"):
        open_timelines(tmp_path, "test")
    labels = np.eye(2)[[1] * 7 + [0] * 2 + [1]][None]
    shapes = {"audio_feature": (1, 10, 7), "visual_feature": (1, 10, 2, 2, 11)}
    for name, values in (("labels", labels), *((name, np.ones(shape)) for name, shape in shapes.items())):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["avadataset"] = values
    (tmp_path / "testSet.txt").write_text("Bark&3jS8tWfLJxI&good&7&9\n")
    assert open_timelines(tmp_path, "test")[0].relevant.nonzero().flatten().tolist() == [7, 8]
    with pytest.raises(ValueError, match="has features of its own; leave --features there away"):
        open_timelines(tmp_path, "test", features=Path("there"))


def save(path: Path, labels: tuple[str, ...], name: str) -> None:
    timeline = Timeline(name, torch.rand(2, 7), torch.rand(2, 1, 11), 0, torch.tensor([True, False]))
    save_timelines(path, TimelineSet(labels, (timeline,)))


def test_files_of_timelines(tmp_path: Path) -> None:
    save(tmp_path / "train.safetensors", ("bark", "bell"), "a")
    save(tmp_path / "test.safetensors", ("bark", "bell"), "b")
    assert [open_timelines(tmp_path, split)[0].name for split in ("train", "test")] == ["a", "b"]
    with pytest.raises(ValueError, match=r"val\.safetensors is missing"):
        open_timelines(tmp_path, "val")
    save(tmp_path / "val.safetensors", ("bell", "bark"), "c")
    with pytest.raises(ValueError, match=r"labels of val\.safetensors \(bell, bark\) are not those of train"):
        open_timelines(tmp_path, "val")
    (tmp_path / "train.safetensors").unlink()
    assert open_timelines(tmp_path, "val")[0].name == "c"


def test_a_list_of_events_with_the_features_of_its_videos(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    for name, frames in (("yard/a.mp4", 9), ("yard/b.mp4", 12), ("c.mp4", 6)):
        make_video(tmp_path / "videos" / name, num_frames=frames, size=(32, 32), fps=3.0)
    visual = create_visual_extractor("resnet10t", frames_per_second=1, image_size=32, zero_init_last=False)
    extractor = Extractor(create_audio_extractor("log_mel", num_steps=2), visual)
    features = tmp_path / "features"
    store_features(tmp_path / "videos", features, extractor)
    data = tmp_path / "events"
    data.mkdir()
    (data / "train.csv").write_text("path,event,start,end\nyard/a.mp4,move,1,\nc.mp4,,,\n")
    (data / "val.csv").write_text("path,event,start,end\nyard/b.mp4,move,0.4,2.3\n")

    train, val = (open_timelines(data, split, features=features) for split in ("train", "val"))
    assert [(t.name, t.event, t.relevant.int().tolist()) for t in (*train, *val)] == [
        ("yard/a.mp4", 0, [0, 1, 1]),
        ("c.mp4", NO_EVENT, [0, 0]),
        ("yard/b.mp4", 0, [1, 1, 0, 0]),
    ]
    silent = val[0]
    assert (silent.audio.shape, silent.visual.shape) == ((4, 128), (4, 1, 512))
    assert float(silent.visual.std()) > 0
    assert any("audio" in note or "sound" in note for note in silent.notes)

    (data / "val.csv").write_text("path,event,start,end\nb.mp4,move,0.4,2.3\n")
    with pytest.raises(
        ValueError, match=r"val\.csv:2: found b\.mp4, of which .*features has none, .*av features"
    ):
        open_timelines(data, "val", features=features)
    with pytest.raises(ValueError, match="holds no features"):
        open_timelines(data, "val", features=data)
    with pytest.raises(
        ValueError, match=r"(?s)features are needed too: .*interlace av features DIR --output F"
    ):
        open_timelines(data, "val")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the data that can be read:\n  AVE "):
        open_timelines(tmp_path, "train")
    with pytest.raises(ValueError, match="there is no such folder"):
        open_timelines(tmp_path / "nowhere", "train")
    (tmp_path / "list.txt").touch()
    with pytest.raises(ValueError, match=r"list\.txt is not a CSV file"):
        open_timelines(tmp_path / "list.txt", "train")
    (tmp_path / "train.csv").touch()
    (tmp_path / "train.safetensors").touch()
    with pytest.raises(ValueError, match="data of several forms, keep one of them"):
        open_timelines(tmp_path, "train")
    with pytest.raises(ValueError, match="split 'valid' is not one of train, val, test"):
        open_timelines(tmp_path, "valid")
