"""Training on optical flow, frame differences, and flow beside the frames: from the videos to a prediction."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

import interlace
from interlace.checkpoints import load_checkpoint
from interlace.data.annotations import Annotations, Sample
from interlace.data.flow_store import FlowSettings, store_flow
from interlace.data.joined import JoinedSampling
from interlace.data.sampling import DenseSampling, SegmentSampling
from interlace.data.transforms import SCALES, SCALES_OF_MOTION
from interlace.evaluation import evaluate
from interlace.inference import load
from interlace.training.config import AugmentConfig, DecodeConfig, TrainerConfig
from interlace.training.parts import flow_note, make_data, make_sampling, network_arguments
from interlace.training.run import read_annotations, train

KINDS = ("dark", "long", "wide")


@pytest.fixture(scope="module")
def stored(clips, tmp_path_factory):
    """The flow of the clips."""
    output = tmp_path_factory.mktemp("flow")
    assert store_flow(clips, output, FlowSettings())[0] == 15
    return output


def small(name, **arguments):
    with torch.device("meta"):
        return interlace.create_model(name, num_classes=3, num_segments=4, **arguments)


@pytest.mark.parametrize(
    ("changes", "modality", "channels"),
    [
        ({"model": "tsn_test_resnet", "modality": "flow"}, "flow", 10),
        ({"model": "tsm_test_resnet", "modality": "rgb_diff", "color": "gray"}, "rgb_diff", 6),
        ({"model": "two_stream_tsn_test_resnet"}, "rgb_flow", 13),
    ],
)
def test_from_videos_to_a_prediction(settings, clips, changes, modality, channels, capsys):
    workers = TrainerConfig(num_workers=1 if modality == "flow" else 0, accelerator="cpu")
    config = settings(epochs=1, trainer=workers, **changes)
    best = train(config)
    assert f"modality:   {modality}, {channels} channels" in capsys.readouterr().out
    model, card = load_checkpoint(best)
    assert (model.modality, model.in_chans) == (modality, channels)
    assert card.preprocessing["modality"] == modality
    assert card.preprocessing.get("flow") == (None if modality == "rgb_diff" else "dis")
    assert card.sampling == {"name": "segment", "num_segments": 4, "snippet_length": 6}

    _, val_set = read_annotations(config)
    report = evaluate([best], val_set, num_workers=0, progress=False)
    assert report.metrics["top1"] == pytest.approx(card.metrics["top1"], abs=1e-3)

    recognizer = load(best, device="cpu")
    path = val_set.samples[0].path
    prediction = recognizer(path)
    with recognizer.open(path) as reader:
        assert reader.num_channels == channels
        assert recognizer(reader) == prediction
    windows = recognizer.timeline(path, window_seconds=0.5)
    assert (windows[0].start_seconds, windows[0].end_seconds) == (0.0, 0.5)
    assert recognizer(path, crops="ten", num_clips=2).top != prediction.top  # mirrored views are others


def test_stored_flow_in_training_and_after(settings, clips, stored):
    config = settings(epochs=1, model="two_stream_tsn_test_resnet", flow=stored)
    best = train(config)
    _, card = load_checkpoint(best)
    assert card.preprocessing["flow"] == "dis"
    path = read_annotations(config)[1].samples[0].path
    by_store, computed = load(best, device="cpu", flow=stored)(path), load(best, device="cpu")(path)
    assert dict(by_store.top) == pytest.approx(dict(computed.top), abs=0.05)
    (stored / "nothing").mkdir()
    with pytest.raises(ValueError, match="its flow is not in"):
        load(best, device="cpu", flow=stored / "nothing")(path)


def test_flow_of_smaller_frames_is_told(settings, clips, stored, tmp_path):
    small_flow = tmp_path / "small"
    store_flow(clips / "dark", small_flow / "dark", FlowSettings("dis_fast", short_side=24))
    for config, note in (
        (settings(flow=small_flow), "short side of 24; .*they compute it at 48"),
        (settings(data=small_flow), "short side of 24; "),
        (settings(flow=stored), "^$"),
        (settings(), "^$"),
        (settings(flow=tmp_path), "^$"),
    ):
        sample = Sample(config.data / "dark" / "1.mp4", (0,))
        assert re.search(note, flow_note(config, Annotations((sample,), ("dark",), "by hand")))


def test_a_folder_of_flow_alone(settings, stored):
    config = settings(epochs=1, data=stored, model="tsn_test_resnet", modality="flow")
    _, card = load_checkpoint(train(config))
    assert card.labels == ("dark", "long", "wide")
    assert card.preprocessing["flow"] == "dis"
    assert 0.5 < card.window_seconds < 2  # the timestamps of the videos are kept beside the pictures


def items(config, model):
    train_set, val_set = read_annotations(config)
    from interlace.data.flip import flip_map

    data = make_data(config, model, train_set, val_set, flip_map(train_set.classes), device="cpu")
    return data.train_dataset, data.val_dataset


def test_clips_are_the_same_however_flow_is_had(settings, stored):
    """Stored or computed, kept in memory or not: the same random clips, but for JPEG."""
    model = small("two_stream_tsn_test_resnet")
    plain = items(settings(), model)
    kept = items(settings(decode=DecodeConfig(cache="ram")), model)
    read = items(settings(flow=stored), model)
    for index in (0, 6, 11):
        clip = plain[0][index]["clip"]
        assert clip.shape == (4, 13, 32, 32)
        for _ in range(2):
            assert torch.equal(kept[0][index]["clip"], clip)
        error = (read[0][index]["clip"].int() - clip.int()).abs()
        assert error[:, :3].max() == 0
        assert error.float().mean() < 1
    view = plain[1][2]["views"]
    assert torch.equal(kept[1][2]["views"], view)


def test_crops_and_colors_follow_the_modality(settings):
    for name, modality, scales in (
        ("tsn_test_resnet", "rgb", SCALES),
        ("tsn_test_resnet", "flow", SCALES_OF_MOTION),
        ("tsn_test_resnet", "rgb_diff", SCALES_OF_MOTION),
    ):
        model = small(name, modality=modality)
        assert items(settings(), model)[0].transform.crop.scales == scales
        augment = AugmentConfig(crop_scales=(1.0, 0.5))
        assert items(settings(augment=augment), model)[0].transform.crop.scales == (1.0, 0.5)
    with pytest.raises(ValueError, match=r"color_jitter=0.4 changes colors, and flow has none"):
        items(settings(augment=AugmentConfig(color_jitter=0.4)), small("tsn_test_resnet", modality="flow"))


def test_gray_frames_have_one_color_in_training_too(settings):
    config = settings(color="gray", augment=AugmentConfig(color_jitter=0.4, crop="center", flip=False))
    model = small("tsn_test_resnet", modality="rgb_diff", in_chans=1)
    clip = items(config, model)[0][3]["clip"]
    plain = items(replace(config, augment=AugmentConfig(crop="center", flip=False)), model)[0][3]["clip"]
    assert clip.shape == plain.shape == (4, 6, 32, 32)
    assert not torch.equal(clip, plain)


@pytest.mark.parametrize("name", ["two_stream_tsn_test_resnet", "tin_en_test_resnet"])
def test_several_labels_and_several_networks(settings, clips, tmp_path, name):
    listed = [
        f"{clips / kind / f'{i}.mp4'},{kind};{('dark', 'long')[i % 2]}" for i in range(4) for kind in KINDS
    ]
    for file in ("train.csv", "val.csv"):
        (tmp_path / file).write_text("\n".join(["path,label", *listed[: 12 if file == "train.csv" else 5]]))
    config = settings(
        epochs=1, model=name, num_segments=3, train=tmp_path / "train.csv", val=tmp_path / "val.csv"
    )
    with pytest.warns(UserWarning, match="in training too"):
        best = train(config)
    model, card = load_checkpoint(best)
    assert (model.multi_label, card.multi_label) == (True, True)
    with pytest.warns(UserWarning, match="in training too"):
        _, val_set = read_annotations(config)
    report = evaluate([best], val_set, num_workers=0, progress=False)
    assert report.metrics["mAP"] == pytest.approx(card.metrics["mAP"], abs=1e-3)


def test_what_the_builder_is_told(settings):
    config = settings()
    assert network_arguments(config, num_classes=3) == {
        "num_classes": 3,
        "num_segments": 4,
        "dropout": 0.5,
        "in_chans": 3,
    }
    told = network_arguments(replace(config, num_segments=None, modality="flow"), num_classes=3)
    assert "num_segments" not in told
    assert told["modality"] == "flow"
    for model, among in (("tin_resnet18", False), ("tin_en_resnet18", True)):
        told = network_arguments(replace(config, model=model), num_classes=3, multi_label=True)
        assert ("multi_label" in told) == among


def test_sampling_is_made_for_the_network(settings):
    config = settings(num_segments=None)
    assert make_sampling(config, small("tsn_test_resnet")) == SegmentSampling(4)
    assert make_sampling(config, small("tsn_test_resnet", modality="rgb_diff")) == SegmentSampling(4, 6)
    dense = replace(config, sampling="dense", frame_stride=3)
    assert make_sampling(dense, small("tsn_test_resnet", modality="flow")) == DenseSampling(4, 3, 6)
    ensemble = small("tsn_test_resnet")
    ensemble.segments = (4, 6)
    assert make_sampling(config, ensemble) == JoinedSampling((SegmentSampling(4), SegmentSampling(6)))


def test_flow_that_is_missing_is_told_by_training(settings, clips, tmp_path):
    config = settings(epochs=1, model="tsn_test_resnet", modality="flow", flow=tmp_path)
    with pytest.raises(ValueError, match=r"its flow is not in .*`interlace flow DIR"):
        train(config)


def test_annotations_with_times(stored, clips):
    """Seconds mean the same in the videos and in their stored flow."""
    from interlace.data.dataset import TrainDataset

    seen = []
    for root, flow in ((clips, stored), (stored, "dis")):
        sample = Sample(root / "long" / "4.mp4", (0,), start_seconds=0.5, end_seconds=1.0)
        clips_of = Annotations((sample,), ("long",), "by hand")
        dataset = TrainDataset(
            clips_of,
            SegmentSampling(2, 6),
            lambda clip, labels: (clip, labels),
            seed=0,
            modality="flow",
            flow=flow,
        )
        seen.append(dataset[0]["clip"])
    assert torch.equal(*seen)
