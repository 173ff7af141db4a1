from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from openvino import opset13 as ops
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations, Sample
from interlace.export.int8 import Accuracy, Inputs, compare_accuracy, judge_accuracy, quantize, score
from interlace.export.openvino_file import save_openvino
from interlace.export.parity import ParityError
from interlace.exported import ExportedModel, load_model
from interlace.exported.about import About, StateTensor, to_metadata

T, S = 2, 16


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return ModelCard(
        model="tin_resnet18",
        model_args={"num_classes": 3},
        labels=("run", "walk", "jump"),
        sampling={"name": "segment", "num_segments": T},
        preprocessing={"image_size": S, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
    )


def _graph() -> openvino.Model:
    """Two convolutions, a factor for each frame from its mean as TIN has it, and a classifier; for any batch."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(0, shape[1] ** -0.5 / shape[-1], shape).astype(np.float32)

    def window(x: openvino.Output, kernel: np.ndarray) -> openvino.Output:
        return ops.relu(ops.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))

    clip = ops.parameter([-1, T, 3, S, S], np.uint8, name="clip")
    clip.output(0).set_names({"clip"})
    frames = ops.convert(clip, "f32") * np.full((1, 1, 1, 1, 1), 1 / 255, np.float32)
    frames = ops.reshape(frames, [-1, 3, S, S], False)
    x = window(frames, weights(8, 3, 3, 3))
    factor = ops.sigmoid(ops.matmul(ops.reduce_mean(x, [2, 3]), weights(8, 8), False, False))  # rank 2
    x = window(x * ops.reshape(factor, [-1, 8, 1, 1], False), weights(8, 8, 3, 3))
    logits = ops.reshape(
        ops.matmul(ops.reduce_mean(x, [2, 3]), 9 * weights(8, 3), False, False), [-1, T, 3], False
    )
    logits = ops.reduce_mean(logits, [1])
    logits.output(0).set_names({"logits"})
    return openvino.Model([logits], [clip], "small")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory, card: ModelCard) -> tuple[Path, Path, Tensor]:
    """The file, its int8 copy, and the clips that it was calibrated by."""
    folder = tmp_path_factory.mktemp("int8")
    about = About("clip", pixels=True, image_size=S)
    source = save_openvino(_graph(), folder / "graph.xml", metadata=to_metadata(about, card))
    clips = torch.randint(0, 256, (6, T, 3, S, S), dtype=torch.uint8)
    model, _ = load_model(source)
    assert isinstance(model, ExportedModel)
    assert quantize(source, folder / "small.xml", Inputs(model, clips), card).precision == "int8"
    return source, folder / "small.xml", clips


def test_the_copy_says_that_it_is_int8_and_answers_nearly_the_same(
    quantized: tuple[Path, Path, Tensor], card: ModelCard
) -> None:
    source, target, clips = quantized
    (before, _), (after, read) = load_model(source), load_model(target)
    assert isinstance(after, ExportedModel)
    assert after.about == About("clip", pixels=True, image_size=S, precision="int8")
    assert read == card
    wanted, got = before(clips), after(clips)
    assert 0 < (got - wanted).abs().max() < 0.2 * wanted.abs().max()


def test_convolutions_are_quantized_and_products_are_not(quantized: tuple[Path, Path, Tensor]) -> None:
    types: dict[str, list[str]] = {"Convolution": [], "MatMul": []}
    for operation in openvino.Core().read_model(quantized[1]).get_ops():
        if operation.get_type_name() in types:
            weights = operation.input_value(1).get_node()
            while weights.get_input_size():
                weights = weights.input_value(0).get_node()
            types[operation.get_type_name()].append(weights.get_element_type().get_type_name())
    assert types == {"Convolution": ["i8", "i8"], "MatMul": ["f32", "f32"]}


class _Stream:
    """A stand-in for an exported network that counts the frames of its state."""

    streams = True
    about = About("stream", pixels=True, image_size=S, state=(StateTensor("seen", (-1, 1)),))

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        return (torch.zeros(batch, 1),)

    def step(self, frame: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        return state[0], (state[0] + 1,)


def test_inputs_of_a_stream_are_its_frames_with_their_states() -> None:
    clips = torch.randint(0, 256, (2, 3, 3, S, S), dtype=torch.uint8)
    inputs = Inputs.__new__(Inputs)  # of a stand-in, which the signature does not take
    inputs.model, inputs.clips = _Stream(), clips  # type: ignore[assignment]
    assert len(inputs) == 6
    for _ in range(2):  # each time anew
        items = list(inputs)
        assert [item["past.seen"].item() for item in items] == [0, 1, 2, 0, 1, 2]
        assert np.array_equal(items[4]["frame"], clips[1:2, 1].numpy())


class _Brightness(nn.Module):
    """Bright clips are of class 1, dark ones of class 0."""

    def __init__(self, turned: bool) -> None:
        super().__init__()
        self.sign = -1 if turned else 1

    def forward(self, clip: Tensor) -> Tensor:
        level = self.sign * clip.mean((1, 2, 3, 4))
        return torch.stack([-level, level, torch.full_like(level, -100)], 1)


def test_accuracy_is_that_of_the_packages_own_evaluation(
    tmp_path: Path, card: ModelCard, make_video: Callable[..., Path]
) -> None:
    dark, bright = make_video(tmp_path / "dark.mp4", num_frames=4), tmp_path / "bright.mp4"
    make_video(bright, num_frames=24)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    samples = (Sample(dark, (0,)), Sample(tmp_path / "broken.mp4", (0,)), Sample(bright, (0,)))
    clips = Annotations(samples, card.labels, "clips.csv")
    before = score(_Brightness(False), card, clips, Path("m"), num_workers=0)
    after = score(_Brightness(True), card, clips, Path("m.xml"), num_workers=0)
    assert [sample.path for sample in before.samples] == [dark, bright]
    accuracy = compare_accuracy(before, after, clips, clips, 2, max_drop=1.0)
    levels = before.probabilities[:, 1] > 0.5
    assert accuracy.before == pytest.approx(100 * (~levels).double().mean().item())
    assert accuracy.after == pytest.approx(100 - accuracy.before)
    assert accuracy.top1_agreement == 0.0
    assert (accuracy.metric, accuracy.num_clips) == ("top1", 2)


def test_clips_that_cannot_be_read_are_an_error(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    clips = Annotations((Sample(tmp_path / "broken.mp4", (0,)),), card.labels, "clips.csv")
    with pytest.raises(ValueError, match=r"clips\.csv: no clip of it can be scored; .*broken\.mp4"):
        score(_Brightness(False), card, clips, Path("m"), num_workers=0)


def _accuracy(before: float, after: float) -> Accuracy:
    return Accuracy("top1", before, after, 0.9, 400, "test.csv", 100, "train.csv", 1.0)


@pytest.mark.parametrize(("before", "after"), [(80.0, 79.0), (80.0, 85.0)])
def test_a_loss_within_the_limit_is_kept(before: float, after: float) -> None:
    judge_accuracy(_accuracy(before, after), Path("m.xml"))


def test_a_larger_loss_names_both_accuracies_and_remedies() -> None:
    with pytest.raises(
        ParityError, match=r"m\.xml is not written: .*80\.00 before and 78\.72 after"
    ) as caught:
        judge_accuracy(_accuracy(80.0, 78.72), Path("m.xml"))
    for remedy in ("calibration", "max_drop=1.3", "float32"):
        assert remedy in str(caught.value)
