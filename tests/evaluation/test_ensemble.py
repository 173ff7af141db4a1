from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard, load_checkpoint, read_card, save_checkpoint
from interlace.data.annotations import Annotations, Sample
from interlace.data.sampling import DenseSampling, SegmentSampling
from interlace.data.splits import trained_on
from interlace.evaluation import Protocol, evaluate, join_checkpoints
from interlace.evaluation.output import file_sha256
from interlace.models import create_model

CLASSES = ("left", "right", "still")
TWO_BY_THREE = Protocol("mine", num_clips=2, crops="three")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Annotations:
    folder = tmp_path_factory.mktemp("clips")
    samples = tuple(
        Sample(make_video(folder / f"{i}.mp4", num_frames=7 + 4 * i, size=(40, 56)), (i,)) for i in range(3)
    )
    return Annotations(samples, CLASSES, source="three clips")


def checkpoint(path: Path, name: str, num_segments: int, seed: int = 0, **changes: Any) -> Path:
    """A network with random weights whose scores differ from clip to clip."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create_model(name, num_classes=3, num_segments=num_segments)
        for head in model.heads():
            if isinstance(head, torch.nn.Linear):
                torch.nn.init.normal_(head.weight)
    preprocessing = {"image_size": 28, "mean": list(model.mean), "std": list(model.std), "color": "rgb"}
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=CLASSES,
        sampling=SegmentSampling(num_segments).to_dict(),
        preprocessing=preprocessing | {"modality": model.modality} | changes.pop("preprocessing", {}),
    )
    return save_checkpoint(path, model, replace(card, **changes))


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of other frames, another kind of sampling and another normalisation."""
    folder = tmp_path_factory.mktemp("members")
    return [
        checkpoint(folder / "a.safetensors", "tin_test_resnet", 4, seed=1, window_seconds=2.0),
        checkpoint(
            folder / "b.safetensors",
            "tsm_test_resnet",
            3,
            seed=2,
            sampling=DenseSampling(3, frame_stride=2).to_dict(),
            preprocessing={"mean": [0.25, 0.5, 0.75]},
            window_seconds=3.0,
        ),
    ]


def scores(folder: Path) -> list[float]:
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return [float(row[f"p({name})"]) for row in csv.DictReader(file) for name in CLASSES]


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_it_scores_as_its_members_together(
    tmp_path: Path, members: list[Path], clips: Annotations, average: Any
) -> None:
    model, card = join_checkpoints(members, weights=[1, 1.5], average=average)
    assert (model.segments, card.num_segments) == ((4, 3), 7)
    joined = save_checkpoint(tmp_path / "e.safetensors", model, card)
    common: dict[str, Any] = {"protocol": TWO_BY_THREE, "average": average, "num_workers": 0, "batch_size": 4}
    together = evaluate(members, clips, weights=[1, 1.5], output=tmp_path / "ab", **common)
    alone = evaluate([joined], clips, output=tmp_path / "e", **common)
    assert scores(tmp_path / "e") == pytest.approx(scores(tmp_path / "ab"), abs=1e-6)
    assert alone.metrics == together.metrics
    assert alone.details["checkpoints"][0]["num_segments"] == 7


def test_it_predicts_and_goes_into_another_ensemble(
    tmp_path: Path, members: list[Path], clips: Annotations
) -> None:
    inner = save_checkpoint(tmp_path / "e.safetensors", *join_checkpoints(members))
    outer = save_checkpoint(
        tmp_path / "o.safetensors", *join_checkpoints([inner, members[0]], weights=[2, 1])
    )
    clip = torch.randint(0, 256, (20, 3, 40, 56), dtype=torch.uint8)
    a, b, e, o = (
        dict(interlace.load(path, device="cpu")(clip, num_clips=2).top) for path in (*members, inner, outer)
    )
    for name in CLASSES:
        assert e[name] == pytest.approx((a[name] + b[name]) / 2, abs=1e-6)
        assert o[name] == pytest.approx((2 * e[name] + a[name]) / 3, abs=1e-6)
    sizes = [part["num_segments"] for part in read_card(outer).sampling["parts"]]
    assert sizes == [4, 3, 4]


def test_networks_that_choose_the_same_frames_share_them(tmp_path: Path) -> None:
    paths = [checkpoint(tmp_path / f"{i}.safetensors", "tsm_test_resnet", 3, seed=i) for i in (1, 2)]
    model, card = join_checkpoints(paths)
    assert (model.segments, card.sampling) == ((3,), {"name": "segment", "num_segments": 3})
    path = save_checkpoint(tmp_path / "e.safetensors", model, card)
    clip = torch.rand(2, 3, 3, 28, 28)
    with torch.no_grad():
        assert torch.equal(load_checkpoint(path)[0](clip), model(clip))


def test_what_the_card_says(tmp_path: Path, members: list[Path], clips: Annotations) -> None:
    trainings = [
        {"data": "/data", "seed": 1, "epoch": 3, "clips": ["a", "b"]},
        {"data": "/data", "seed": 2, "clips": ["b", "c"]},
    ]
    paths = []
    for i, (path, training) in enumerate(zip(members, trainings, strict=True)):
        model, card = load_checkpoint(path)
        card = replace(
            card, training=training, protocol=("full-res", "1clip-center")[i], metrics={"top1": 50.0 + i}
        )
        paths.append(save_checkpoint(tmp_path / path.name, model, card))
    card = join_checkpoints(paths, weights=[1, 3])[1]
    assert card.preprocessing == {
        **{"image_size": 28, "mean": [0.0] * 3, "std": [1.0] * 3, "color": "rgb", "modality": "rgb"},
    }
    assert (card.protocol, card.window_seconds, card.metrics) == ("full-res", 3.0, {})
    assert (card.training["data"], card.training["clips"]) == ("/data", ["a", "b", "c"])
    assert "seed" not in card.training
    assert card.training["members"] == [
        {
            "file": path.name,
            "sha256": file_sha256(path),
            "weight": weight,
            "model": name,
            "metrics": {"top1": 50.0 + i},
            "seed": i + 1,
            **({} if i else {"epoch": 3}),
        }
        for i, (path, weight, name) in enumerate(
            zip(paths, [1.0, 3.0], ["tin_test_resnet", "tsm_test_resnet"], strict=True)
        )
    ]


def test_clips_that_any_member_was_trained_on_are_known(
    tmp_path: Path, members: list[Path], clips: Annotations
) -> None:
    from interlace.data.splits import clip_hashes

    root = clips.samples[0].path.parent
    hashes = clip_hashes(clips, root)
    paths = []
    for path, seen in zip(members, (hashes[:1], hashes[2:]), strict=True):
        model, card = load_checkpoint(path)
        paths.append(save_checkpoint(tmp_path / path.name, model, replace(card, training={"clips": seen})))
    card = join_checkpoints(paths)[1]
    assert trained_on(clips, [card.training], root) == [0, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": ("left", "still", "right")},
            "class 1 is 'right' in .*a.safetensors and 'still' in .*c",
        ),
        (
            {"multi_label": True},
            "a.safetensors was trained for one label a clip, .*c.safetensors for several",
        ),
        (
            {"preprocessing": {"image_size": 32}},
            "image_size is 28 in .*a.safetensors and 32 in .*c.safetensors",
        ),
        ({"preprocessing": {"color": "gray"}}, "color is rgb in .*a.safetensors and gray in .*c.safetensors"),
    ],
)
def test_checkpoints_that_do_not_fit(
    tmp_path: Path, members: list[Path], changes: dict[str, Any], message: str
) -> None:
    other = checkpoint(tmp_path / "c.safetensors", "tsn_test_resnet", 3, **changes)
    with pytest.raises(ValueError, match=message):
        join_checkpoints([members[0], other])


def test_weights_must_fit(members: list[Path]) -> None:
    with pytest.raises(ValueError, match="1 weights for 2 checkpoints"):
        join_checkpoints(members, weights=[1])
    with pytest.raises(ValueError, match="no checkpoint"):
        join_checkpoints([])


def test_colors_and_flow(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    """Each stream keeps its own positions: a flow needs the frames behind it."""
    pytest.importorskip("cv2")
    paths = []
    for modality, length in (("rgb", 1), ("flow", 6)):
        model = create_model("tsn_test_resnet", num_classes=3, num_segments=2, modality=modality)
        torch.nn.init.normal_(model.head.weight)
        card = ModelCard(
            model=model.builder,
            model_args=model.builder_args,
            labels=CLASSES,
            sampling=SegmentSampling(2, snippet_length=length).to_dict(),
            preprocessing={
                **{"image_size": 28, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
                **{"modality": modality, "flow": "dis_fast" if modality == "flow" else None},
            },
        )
        paths.append(save_checkpoint(tmp_path / f"{modality}.safetensors", model, card))
    model, card = join_checkpoints(paths, weights=[1, 1.5])
    assert (model.segments, model.in_chans, card.preprocessing["flow"]) == ((2, 2), 13, "dis_fast")
    joined = save_checkpoint(tmp_path / "e.safetensors", model, card)
    video = Sample(make_video(tmp_path / "v.mp4", num_frames=9, size=(40, 56)), (0,))
    clip = Annotations((video,), CLASSES, source="one clip")
    evaluate(paths, clip, weights=[1, 1.5], num_workers=0, output=tmp_path / "ab")
    evaluate([joined], clip, num_workers=0, output=tmp_path / "e")
    assert scores(tmp_path / "e") == pytest.approx(scores(tmp_path / "ab"), abs=1e-6)
    with pytest.raises(ValueError, match=r"holds another evaluation .other views"):
        evaluate([joined], clip, num_workers=0, flow="dis", output=tmp_path / "e")
    report = evaluate([joined], clip, num_workers=0, flow="dis", output=tmp_path / "dis")
    assert report.details["views"] == {"num_clips": 1, "crops": "center", "flow": "dis"}
    assert scores(tmp_path / "dis") != scores(tmp_path / "e")
