"""The parts that are timed are those of the whole, and the clip is what the benchmark says."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch

import audiovisual
from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import Extractor
from interlace.audiovisual.features.visual_features import create_visual_extractor


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audiovisual.make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2, width=64, height=48)


def test_the_clip_has_sound_and_picture_of_the_same_length(clip: Path) -> None:
    with av.open(str(clip)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec.name, picture.average_rate, picture.frames) == ("h264", 30, 60)
        assert (picture.width, picture.height) == (64, 48)
        assert (sound.codec.name, sound.rate, sound.channels) == ("aac", 44_100, 2)
        assert float(sound.duration * sound.time_base) == pytest.approx(2, abs=0.05)


def test_the_parts_give_what_the_whole_gives(clip: Path) -> None:
    visual = create_visual_extractor("test_resnet", image_size=32, frames_per_second=3)
    sound = audiovisual.sound_parts(clip, 2, "cpu")
    picture = audiovisual.picture_parts(clip, {"test_resnet": visual}, "cpu")
    assert list(sound) == ["decode sound", "log_mel", "vggish"]
    assert list(picture) == ["decode 3 frames a second", "test_resnet"]
    whole = Extractor(create_audio_extractor("log_mel"), visual).features_of(clip)
    assert whole.heard.all()
    assert picture["decode 3 frames a second"]().shape == (2, 3, 3, 32, 32)
    torch.testing.assert_close(sound["log_mel"](), whole.audio)
    torch.testing.assert_close(picture["test_resnet"](), whole.visual)
    assert sound["vggish"]().shape == (2, 128)


def test_the_whole_labels_every_second(clip: Path) -> None:
    visual = create_visual_extractor("test_resnet", image_size=32, frames_per_second=3)
    extractor = Extractor(create_audio_extractor("log_mel"), visual)
    prediction = audiovisual.whole_part(clip, extractor, "cpu")["whole"]()
    assert len(prediction.labels) == 2
    assert len(prediction.scores) == audiovisual.EVENTS


def test_dam_labels_and_places() -> None:
    calls = audiovisual.forward_parts("cpu")
    localization, starts = (call() for call in calls.values())
    assert localization.labels.shape == (1, 10)
    assert [int(start) in range(8) for start in starts] == [True, True]  # an event of 3 s begins in 0 to 7


def test_shares_of_the_clip() -> None:
    rows = audiovisual.as_shares({"vggish": {"median_ms": 250.0, "spread": 0.1, "ratio": 1.0}}, 2)
    assert rows == {"vggish": {"median_ms": 250.0, "spread": 0.1, "seconds": 0.25, "of_clip": 0.125}}
