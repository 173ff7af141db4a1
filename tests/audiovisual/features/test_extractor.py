from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import (
    Extractor,
    create_extractor,
    load_extractor,
    save_extractor,
)
from interlace.audiovisual.features.visual_features import create_visual_extractor
from interlace.data.video import VideoError

RATE = 16000


def tone_at(samples):
    return (8000 * np.sin(2 * np.pi * 440 * samples / RATE)).astype(np.int16)


def write_clip(path, seconds, *, sound=(0.0, 0.0), fps=10):
    """Grey pictures at level 40 k in second k, and a tone of 440 Hz from sound[0] to sound[1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=fps)
        pictures.width, pictures.height, pictures.pix_fmt = 48, 32, "yuv420p"
        has_sound = sound[1] > sound[0]
        tone = container.add_stream("pcm_s16le", rate=RATE, layout="mono") if has_sound else None
        packets = []
        for i in range(round(seconds * fps)):
            level = np.full((32, 48, 3), 40 * (i // fps), np.uint8)
            packets += pictures.encode(av.VideoFrame.from_ndarray(level, format="rgb24"))
        packets += pictures.encode(None)
        if tone is not None:
            times = np.arange(round(sound[0] * RATE), round(sound[1] * RATE))
            wave = tone_at(times)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, int(times[0]), Fraction(1, RATE)
            packets += [*tone.encode(frame), *tone.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def extractor():
    torch.manual_seed(0)
    visual = create_visual_extractor("resnet10t", frames_per_second=3, image_size=32, zero_init_last=False)
    return Extractor(create_audio_extractor("log_mel", num_steps=2), visual)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mkv", 5, sound=(1.0, 3.0))


def test_a_row_of_sound_and_picture_a_second(extractor, clip):
    features = extractor.features_of(clip)
    assert repr(features) == "Features(5 s, audio (5, 128), 2 s heard, visual (5, 1, 512))"
    assert features.heard.tolist() == [False, True, True, False, False]
    assert features.duration_seconds == pytest.approx(5.0)
    assert features.audio[[0, 3, 4]].abs().max() == 0
    tone = torch.from_numpy(tone_at(np.arange(RATE, 3 * RATE))).view(2, RATE) / 32768
    torch.testing.assert_close(features.audio[1:3], extractor.audio(tone), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        for second in (1, 4):
            grey = torch.full((1, 3, 3, 32, 32), 40 * second, dtype=torch.uint8)
            torch.testing.assert_close(
                features.visual[second], extractor.visual(grey)[0], rtol=0.05, atol=0.01
            )
    assert any("the sound begins at 1.00 s" in note for note in features.notes)
    assert not features.visual.requires_grad


def test_rows_do_not_depend_on_what_is_beside_them(extractor, clip):
    wanted = extractor.features_of(clip)
    for frames_per_forward in (1, 6, 1000):
        features = extractor.train().features_of(clip, frames_per_forward=frames_per_forward)
        torch.testing.assert_close(features.visual, wanted.visual)
        assert torch.equal(features.audio, wanted.audio)


def test_progress_in_seconds(extractor, clip):
    told = []
    extractor.features_of(clip, frames_per_forward=6, progress=lambda *seconds: told.append(seconds))
    assert told == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize(("seconds", "rows"), [(0.1, 1), (0.4, 1), (1.4, 1), (1.5, 2), (2.6, 3)])
def test_parts_of_a_second(extractor, tmp_path, seconds, rows):
    features = extractor.features_of(write_clip(tmp_path / "clip.mkv", seconds, sound=(0.0, seconds)))
    assert features.visual.shape == (rows, 1, 512)
    assert features.heard.tolist() == [True] * rows
    assert features.audio.shape == (rows, 128)
    assert features.visual.abs().sum((1, 2)).min() > 0


def test_a_folder_of_pictures_has_no_sound(extractor, tmp_path):
    for i in range(30):  # taken as 25 a second
        Image.new("RGB", (40, 32), (i, 2 * i, 3 * i)).save(tmp_path / f"shot{i:03d}.png")
    features = extractor.features_of(tmp_path, frame_template="shot{:03d}.png")
    assert features.visual.shape == (1, 1, 512)
    assert features.audio.tolist() == [[0.0] * 128]
    assert "a folder of pictures has no sound" in features.notes


def test_damaged_videos(extractor, damaged_video, tmp_path):
    features = extractor.features_of(damaged_video)
    assert features.visual.shape == (2, 1, 512)
    assert any("damaged" in note for note in features.notes)
    with pytest.raises(VideoError, match="cannot be decoded"):
        extractor.features_of(damaged_video, on_error="raise")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4: not a video"):
        extractor.features_of(tmp_path / "text.mp4")


def test_features_that_are_no_numbers_are_an_error(clip):
    extractor = create_extractor(
        {"audio": {"name": "log_mel"}, "visual": {"name": "resnet10t", "image_size": 32}}
    )
    with torch.no_grad():
        extractor.visual.backbone.conv1[0].weight.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"clip\.mkv: the features of its picture are not finite"):
        extractor.features_of(clip)


def test_one_file_holds_all_it_takes(extractor, clip, tmp_path):
    path = save_extractor(tmp_path / "extractor.safetensors", extractor)
    again = load_extractor(path)
    assert not again.training
    assert again.spec == extractor.spec == json.loads(json.dumps(extractor.spec))
    assert again.fingerprint() == extractor.fingerprint()
    wanted, features = extractor.features_of(clip), again.features_of(clip)
    assert torch.equal(features.audio, wanted.audio)
    assert torch.equal(features.visual, wanted.visual)
    torch.manual_seed(1)
    other = create_extractor(extractor.spec)
    assert other.fingerprint() != extractor.fingerprint()
    other.load_state_dict(extractor.state_dict())
    assert other.fingerprint() == extractor.fingerprint()


def test_building_draws_nothing_from_the_global_generator(extractor):
    before = torch.get_rng_state()
    create_extractor(extractor.spec)
    assert torch.equal(torch.get_rng_state(), before)


def test_files_that_are_none(extractor, tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        load_extractor(tmp_path / "extractor.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(ValueError, match="not a whole"):
        load_extractor(tmp_path / "text.safetensors")
    weights = tmp_path / "weights.safetensors"
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, weights)
    with pytest.raises(ValueError, match="not the networks of"):
        load_extractor(weights)
    path = save_extractor(tmp_path / "extractor.safetensors", extractor)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="not a whole"):
        load_extractor(path)
    about = {"format": 1, "spec": extractor.spec, "fingerprint": ""}
    save_file({"x": torch.zeros(3)}, path, metadata={"interlace_extractor": json.dumps(about)})
    with pytest.raises(ValueError, match="its weights are not those of the networks"):
        load_extractor(path)
    save_file({}, path, metadata={"interlace_extractor": json.dumps({**about, "format": 3})})
    with pytest.raises(ValueError, match="written by a newer interlace"):
        load_extractor(path)
    with pytest.raises(ValueError, match="no specification of features"):
        create_extractor({"audio": {"name": "log_mel"}})


def test_tin_of_an_older_file_is_as_released(tmp_path):
    spec = {
        "audio": {"name": "log_mel"},
        "visual": {"name": "tin_resnet18", "image_size": 32, "color": "gray"},
    }
    released = {"offset_range": 2.0, "initial_offset": 0.5}
    old = create_extractor({**spec, "visual": {**spec["visual"], **released}})
    path = save_extractor(tmp_path / "extractor.safetensors", old)
    from safetensors.torch import load_file, save_file

    about = {"format": 1, "spec": spec, "fingerprint": ""}
    save_file(load_file(path), path, metadata={"interlace_extractor": json.dumps(about)})
    assert load_extractor(path).spec["visual"].items() >= released.items()
    about["format"] = 2
    save_file(load_file(path), path, metadata={"interlace_extractor": json.dumps(about)})
    assert "offset_range" not in load_extractor(path).spec["visual"]


@pytest.mark.real_data
def test_real_videos(data_dir, weights_dir):
    visual = create_visual_extractor(
        "mobilenetv2_100",
        pretrained=weights_dir / "mobilenetv2_100_in1k.fp16.safetensors",
        pad_type="same",
        frames_per_second=2,
        image_size=64,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
    )
    extractor = Extractor(create_audio_extractor("log_mel"), visual)
    features = extractor.features_of(data_dir / "odd_videos" / "nasa_13013.mp4")
    assert features.visual.shape == (13, 1, 1280)
    assert features.heard.all()
    assert features.audio.std(0).max() > 0.1
    assert any("2 audio tracks" in note for note in features.notes)
    features = extractor.features_of(data_dir / "odd_videos" / "bitmap.mp4")
    assert features.visual.shape == (5, 1, 1280)
    assert not features.heard.any()
    assert features.audio.abs().max() == 0
