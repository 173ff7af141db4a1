from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.data import video
from interlace.data.sampling import segment_indices
from interlace.data.transforms import Preprocess
from interlace.data.views import spatial_views
from interlace.evaluation.protocol import get_protocol, score_views
from interlace.inference import Recognizer
from interlace.inference.recognizer import VIEWS_PER_FORWARD, check_clip
from interlace.models import create_model

ARGUMENTS = {"num_classes": 3, "num_segments": 4}
CARD = ModelCard(
    model="tin_resnet18",
    model_args=ARGUMENTS,
    labels=("wave", "clap", "turn"),
    sampling={"name": "segment", "num_segments": 4},
    preprocessing={"image_size": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "color": "rgb"},
)


@pytest.fixture(scope="module")
def tin() -> Recognizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("tin_resnet18", **ARGUMENTS)
        torch.nn.init.normal_(model.head.weight, std=0.5)  # as built, its answers hardly differ
    return Recognizer(model, CARD, device="cpu")


def grey(*levels: int, size: tuple[int, int] = (40, 50), channels: int = 3) -> torch.Tensor:
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].repeat(1, channels, *size)


def test_the_straight_line(tin: Recognizer, make_video: Callable[..., Path], tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=24)
    with video.open(path) as reader:
        frames = reader.frames_at(segment_indices(24, 4))
    clip = Preprocess([0.4, 0.5, 0.6], [0.2, 0.25, 0.3])(spatial_views(frames, "center", 32))
    with torch.inference_mode():
        expected = tin.model(clip).softmax(-1)[0]
    prediction = tin(path)
    assert prediction.path == str(path)
    assert prediction.notes == ()
    order = expected.argsort(descending=True).tolist()
    assert [label for label, _ in prediction.top] == [CARD.labels[k] for k in order]
    np.testing.assert_allclose([score for _, score in prediction.top], expected[order], atol=1e-6)


@pytest.mark.parametrize("name", ["1clip-center", "2clip-3crop", "10clip-3crop", "full-res"])
@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_equals_evaluation_by_the_same_protocol(tin: Recognizer, name: str, average: str) -> None:
    clip = torch.randint(
        0, 256, (11, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    protocol = get_protocol(name)
    clips = tin.sampling.test_indices(11, protocol.num_clips)
    views = torch.cat([spatial_views(clip[indices], protocol.crops, 32) for indices in clips])
    with torch.inference_mode():
        scores = score_views(tin.model, views[None], tin.preprocess, average)[0]
    expected = scores.softmax(-1) if average == "logits" else scores
    found = tin(clip, num_clips=protocol.num_clips, crops=protocol.crops, average=average)
    for label, score in found.top:
        assert score == pytest.approx(expected[CARD.labels.index(label)].item(), abs=1e-6)


def test_a_clip_is_a_tensor_or_an_array_and_named_by_its_shape(recognizer: Recognizer) -> None:
    clip = grey(190, 190, 190, 190, 190)
    first, second = recognizer(clip), recognizer(clip.numpy())
    assert first == second
    assert first.path == "clip (5, 3, 40, 50)"
    assert first.label == "bright"
    distances = np.square(190 / 255 - np.array([0.15, 0.45, 0.75]))
    assert first.score == pytest.approx(np.exp(-20 * distances[2]) / np.exp(-20 * distances).sum(), abs=1e-5)


def test_file_reader_and_folder_of_frames(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=10)
    with recognizer.open(path) as reader:
        assert recognizer(reader) == recognizer(str(path)) == recognizer(path)
        assert recognizer(path).label == "dark"
        frames = reader.frames_at(range(10))
    folder = tmp_path / "frames"
    folder.mkdir()
    for i, frame in enumerate(frames):
        to_pil_image(frame).save(folder / f"img_{i + 1:05d}.png")
    assert recognizer(folder).top == recognizer(path).top


def test_the_global_random_state_is_not_touched(recognizer: Recognizer) -> None:
    before = torch.get_rng_state()
    recognizer(grey(1, 2, 3, 4, 5), num_clips=10, crops="ten")
    assert torch.equal(before, torch.get_rng_state())


def test_many_views_go_through_the_network_in_parts(recognizer: Recognizer) -> None:
    recognizer(grey(1, 2, 3, 4, 5), num_clips=3, crops="three")
    assert [shape[0] for shape in recognizer.model.shapes] == [VIEWS_PER_FORWARD, 9 - VIEWS_PER_FORWARD]
    assert recognizer.model.shapes[0][1:] == (4, 3, 28, 28)


@pytest.mark.parametrize(("top_k", "expected"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_top_k_is_at_most_the_number_of_classes(recognizer: Recognizer, top_k: int, expected: int) -> None:
    assert len(recognizer(grey(1, 2, 3, 4), top_k=top_k).top) == expected


def test_top_k_below_one_is_an_error(recognizer: Recognizer) -> None:
    with pytest.raises(ValueError, match="top_k=0 asks for no label"):
        recognizer(grey(1, 2, 3, 4), top_k=0)


def test_several_labels_a_clip_have_independent_scores(make_recognizer: Callable[..., Recognizer]) -> None:
    prediction = make_recognizer(multi_label=True)(grey(115, 115, 115, 115))
    assert prediction.label == "medium"
    # An exact hit has logit 0; the other two levels lie 0.3 away.
    other = 1 / (1 + np.exp(20 * 0.3**2))
    np.testing.assert_allclose([score for _, score in prediction.top], [0.5, other, other], atol=2e-3)


def test_fewer_frames_than_segments_are_repeated_and_said(recognizer: Recognizer) -> None:
    prediction = recognizer(grey(10, 200))
    assert prediction.notes == ("2 frames for 4 segments: frames are repeated",)
    assert recognizer(grey(10)).label == "dark"


def test_a_network_for_grey_pictures_reads_one_channel(
    make_recognizer: Callable[..., Recognizer], make_video: Callable[..., Path], tmp_path: Path
) -> None:
    recognizer = make_recognizer(color="gray")
    assert recognizer(make_video(tmp_path / "clip.mp4", num_frames=10)).label == "dark"
    assert recognizer.model.shapes == [(1, 4, 1, 28, 28)]


@pytest.mark.parametrize(
    "clip",
    [
        torch.zeros(4, 3, 5, 7),
        torch.zeros(4, 5, 7, dtype=torch.uint8),
        torch.zeros(4, 1, 5, 7, dtype=torch.uint8),
        torch.zeros(0, 3, 5, 7, dtype=torch.uint8),
        np.zeros((4, 5, 7, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_clip_is_refused(clip: torch.Tensor | np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"a clip is uint8 \(T, 3, H, W\) for this network, not "):
        check_clip(clip, 3)


def test_an_unreadable_file_is_an_error_that_names_it(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"text\.mp4"):
        recognizer(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match=r"absent\.mp4"):
        recognizer(tmp_path / "absent.mp4")


def test_load_needs_nothing_but_the_file(
    tin: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    saved = save_checkpoint(tmp_path / "model.safetensors", tin.model, CARD)
    clip = make_video(tmp_path / "clip.mp4", num_frames=9)
    loaded = interlace.load(str(saved), device="cpu")
    assert not loaded.model.training
    assert loaded.card == CARD
    assert loaded.device == torch.device("cpu")
    assert repr(loaded) == "Recognizer(tin_resnet18, 3 labels, cpu)"
    assert loaded(clip) == tin(clip)
    assert interlace.predict(clip, model=saved, top_k=2).top == tin(clip).top[:2]
    assert interlace.predict(str(clip), model=loaded) == tin(clip)


def test_load_says_what_is_wrong_with_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.safetensors: no such checkpoint; `interlace train`"):
        interlace.load(tmp_path / "absent.safetensors")
    with pytest.raises(
        ValueError, match=r"is a folder; name the checkpoint in it, e\.g\. .*best\.safetensors"
    ):
        interlace.load(tmp_path)
    (tmp_path / "text.safetensors").write_text("not a checkpoint, but long enough to hold a header's length")
    with pytest.raises(ValueError, match=r"text\.safetensors"):
        interlace.load(tmp_path / "text.safetensors")


def test_load_refuses_weights_that_interlace_did_not_write(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors"):
        interlace.load(tmp_path / "foreign.safetensors")


def test_timeline_names_the_brightness_of_each_window(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    # Grey level 10 * i over 24 frames of 1/4 s: 0 to 230 in 6 s.
    path = make_video(tmp_path / "clip.mp4", num_frames=24, fps=4.0)
    done = []
    found = recognizer.timeline(
        path, window_seconds=2.0, top_k=2, progress=lambda *counts: done.append(counts)
    )
    assert [(p.start_seconds, p.end_seconds) for p in found] == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]
    assert [p.label for p in found] == ["dark", "medium", "medium", "bright", "bright"]
    assert all(len(p.top) == 2 and p.path == str(path) for p in found)
    assert done == [(5, 5)]


def test_a_window_is_predicted_as_the_same_frames_alone(
    tin: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=60, fps=10.0)
    found = tin.timeline(path, window_seconds=2.0, hop_seconds=0.4)
    assert len(found) == 11
    with tin.open(path) as reader:
        for prediction in found:
            first = round(prediction.start_seconds * 10)
            alone = tin(reader.frames_at(range(first, first + 20)))
            assert [label for label, _ in alone.top] == [label for label, _ in prediction.top]
            np.testing.assert_allclose([s for _, s in alone.top], [s for _, s in prediction.top], atol=1e-5)


def test_the_window_is_that_of_the_training_clips_or_four_seconds(
    make_recognizer: Callable[..., Recognizer], make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=24, fps=4.0)
    assert [p.start_seconds for p in make_recognizer().timeline(path)] == [0, 2]
    trained = make_recognizer(window_seconds=3.0)
    assert [p.start_seconds for p in trained.timeline(path)] == [0, 1.5, 3]
    with trained.open(path) as reader:
        assert [p.start_seconds for p in trained.timeline(reader, hop_seconds=3.0)] == [0, 3]


def test_a_long_timeline_goes_through_the_network_in_parts(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=48, fps=4.0)
    done: list[tuple[int, int]] = []
    found = recognizer.timeline(path, window_seconds=1.0, progress=lambda *counts: done.append(counts))
    assert len(found) == 23
    assert done == [(8, 23), (16, 23), (23, 23)]
    assert [shape[0] for shape in recognizer.model.shapes] == [8, 8, 7]
