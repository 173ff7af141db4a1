from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from interlace.audiovisual.features.audio_features import (
    AUDIO_EXTRACTORS,
    LogMelExtractor,
    VGGishExtractor,
    create_audio_extractor,
)
from interlace.audiovisual.features.log_mel import log_mel, vggish_log_mel
from interlace.audiovisual.features.vggish import VGGish, Whitening

RATE = 16000


def tones(*hertz: float) -> Tensor:
    """A second each."""
    return torch.stack([torch.sin(2 * math.pi * f * torch.arange(RATE) / RATE) for f in hertz])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights of a VGGish that is nowhere trained, and of a PCA; each tensor takes a number or a row on the disk."""
    folder = tmp_path_factory.mktemp("vggish")
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in VGGish().state_dict().items()}
    state = {}
    for name, shape in shapes.items():
        scale = 0.0 if name.endswith("bias") else 2 / shape[1:].numel()
        row = torch.rand(shape[-1], generator=generator) * scale
        state[name] = row.expand(shape)
    state["embeddings.4.bias"] = torch.arange(128.0)
    torch.save(state, folder / "vggish.pth")
    pca = {"pca_eigen_vectors": torch.eye(128).flip(0) / 40, "pca_means": torch.full((128, 1), 40.0)}
    torch.save(pca, folder / "pca.pth")
    return folder / "vggish.pth", folder / "pca.pth"


@pytest.fixture(scope="module")
def vggish(files: tuple[Path, Path]) -> VGGishExtractor:
    extractor = create_audio_extractor("vggish", pretrained=files[0])
    assert isinstance(extractor, VGGishExtractor)
    return extractor


def test_a_row_of_log_mel_is_the_mean_of_each_band_in_each_part_of_the_second() -> None:
    samples = torch.rand(2, RATE) - 0.5
    rows = LogMelExtractor(num_bands=7, num_steps=2)(samples)
    assert rows.shape == (2, 14)
    spectrogram = log_mel(samples, num_bands=7) - math.log(0.01)  # (2, 98, 7)
    expected = torch.cat([spectrogram[:, :49].mean(1), spectrogram[:, 49:].mean(1)], 1)
    assert torch.allclose(rows, expected, atol=1e-4)


def test_a_second_not_heard_is_a_row_of_zeros() -> None:
    samples = tones(440.0, 3000.0)
    samples[1] = 0
    rows = create_audio_extractor("log_mel")(samples)
    assert rows.shape == (2, 256)
    assert rows[0].max() > 5
    assert not rows[1].any()


def test_log_mel_tells_pitch_and_time_apart() -> None:
    low, high = tones(300.0, 4000.0)
    late = torch.cat([torch.zeros(RATE // 2), low[RATE // 2 :]])
    rows = LogMelExtractor(num_bands=16, num_steps=2)(torch.stack([low, high, late])).unflatten(1, (2, 16))
    assert rows[0, 0].argmax() < rows[1, 0].argmax()
    assert rows[2, 0].max() < rows[2, 1].max() / 4
    assert torch.allclose(rows[2, 1, :4], rows[0, 1, :4], rtol=0.1)


def test_other_rates_have_features_of_the_same_kind() -> None:
    extractor = create_audio_extractor("log_mel", sample_rate_hz=8000, num_bands=20, highest_hz=4000.0)
    assert extractor.sample_rate_hz == 8000
    assert extractor(torch.rand(3, 8000)).shape == (3, extractor.num_features) == (3, 80)


def test_vggish_has_one_row_a_second_and_none_knows_of_another(vggish: VGGishExtractor) -> None:
    samples = torch.cat([tones(440.0, 3000.0), torch.zeros(1, RATE), torch.rand(2, RATE) - 0.5])
    with torch.no_grad():
        rows = vggish(samples)
        alone = torch.cat([vggish(second[None]) for second in samples])
        expected = vggish.network(vggish_log_mel(samples))
    assert rows.shape == (5, vggish.num_features) == (5, 128)
    assert rows.isfinite().all()
    assert torch.equal(rows, expected)
    assert torch.allclose(rows, alone, rtol=1e-4)
    assert not torch.allclose(rows[0], rows[1], rtol=1e-2)
    assert not vggish.training


@pytest.mark.parametrize("post_process", ["pca", "quantized"])
def test_vggish_is_whitened_if_wanted(
    post_process: str, files: tuple[Path, Path], vggish: VGGishExtractor
) -> None:
    extractor = create_audio_extractor("vggish", pretrained=files[0], pca=files[1], post_process=post_process)
    samples = tones(440.0)
    with torch.no_grad():
        rows, plain = extractor(samples), vggish(samples)
    whitened = ((plain.flip(1) - 40) / 40).clamp(-2, 2)
    expected = ((whitened + 2) * 63.75).floor() if post_process == "quantized" else whitened
    assert torch.allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "log_mel"},
        {"name": "log_mel", "sample_rate_hz": 8000, "num_bands": 20, "num_steps": 5, "highest_hz": 3000.0},
        {"name": "vggish", "pretrained": False},
        {"name": "vggish", "pretrained": False, "post_process": "quantized", "ends_in_relu": False},
    ],
)
def test_a_spec_builds_the_same_again_without_a_download(arguments: dict[str, object]) -> None:
    with torch.device("meta") if arguments["name"] == "vggish" else torch.device("cpu"):
        extractor = create_audio_extractor(**arguments)  # type: ignore[arg-type]
        spec = json.loads(json.dumps(extractor.spec))
        again = create_audio_extractor(**spec)
    assert again.spec == extractor.spec == {**extractor.spec, **arguments}
    assert again.state_dict().keys() == extractor.state_dict().keys()
    assert (again.num_features, again.sample_rate_hz) == (extractor.num_features, extractor.sample_rate_hz)


def test_the_pca_is_part_of_the_weights() -> None:
    with torch.device("meta"):
        extractor = create_audio_extractor("vggish", pretrained=False, post_process="pca")
    assert isinstance(extractor.post_process, Whitening)
    assert {"post_process.pca_eigen_vectors", "post_process.pca_means"} < extractor.state_dict().keys()


@pytest.mark.parametrize("name", AUDIO_EXTRACTORS)
def test_sound_at_another_rate_is_refused(name: str) -> None:
    with torch.device("meta") if name == "vggish" else torch.device("cpu"):
        extractor = create_audio_extractor(name, pretrained=False)
        with pytest.raises(
            ValueError, match="8000 samples a second; these features are of 16000: read the sound"
        ):
            extractor(torch.zeros(2, 8000))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "mfcc"}, ValueError, "features of sound 'mfcc' are unknown; choose from log_mel, vggish"),
        ({"pretrained": "vggish.pth"}, ValueError, "vggish.pth: log_mel has no weights to load"),
        ({"num_steps": 0}, ValueError, "num_steps=0; a second has 98 windows: take 1 to 98"),
        ({"num_steps": 99}, ValueError, "num_steps=99; a second has 98 windows"),
        ({"num_bands": 128}, ValueError, "choose fewer"),
        ({"num_band": 64}, TypeError, "num_band"),
        ({"name": "vggish", "pretrained": False, "pca": "a.pth"}, ValueError, "a.pth: nothing is whitened"),
        ({"name": "vggish", "pretrained": "no.pth"}, ValueError, "no.pth: there is no such file of weights"),
    ],
)
def test_what_cannot_be_built_is_said(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    device = "meta" if arguments.get("name") == "vggish" else "cpu"
    with torch.device(device), pytest.raises(error, match=message):
        create_audio_extractor(**arguments)  # type: ignore[arg-type]


def test_an_unknown_processing_is_named() -> None:
    with torch.device("meta"), pytest.raises(ValueError, match="'mean'; choose from none, pca, quantized"):
        create_audio_extractor("vggish", pretrained=False, post_process="mean")
