from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from interlace.audiovisual.features.log_mel import log_mel, mel_filters, vggish_log_mel

RATE = 16000


def published(samples: np.ndarray) -> np.ndarray:
    """VGGish's front end once more, from its definition, window by window, band by band, in float64."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    corners_mel = np.linspace(1127 * math.log(1 + 125 / 700), 1127 * math.log(1 + 7500 / 700), 66)
    bins_mel = 1127 * np.log(1 + np.arange(1, 257) * 8000 / 256 / 700)
    rows = np.empty((96, 64))
    for i in range(96):
        magnitudes = np.abs(np.fft.rfft(samples[160 * i : 160 * i + 400] * window, 512))
        for band in range(64):
            lower, center, upper = corners_mel[band : band + 3]
            weights = np.minimum((bins_mel - lower) / (center - lower), (upper - bins_mel) / (upper - center))
            rows[i, band] = math.log(magnitudes[1:] @ weights.clip(0) + 0.01)
    return rows


def test_vggish_sees_what_its_definition_says() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 16000)
    seen = vggish_log_mel(torch.from_numpy(samples[None]))
    assert seen.shape == (1, 1, 96, 64)
    np.testing.assert_allclose(seen[0, 0].numpy(), published(samples), atol=1e-10)
    in_float32 = vggish_log_mel(torch.from_numpy(samples[None]).float())
    assert torch.allclose(in_float32.double(), seen, atol=1e-4)


def test_the_first_96_windows_end_within_the_second() -> None:
    samples = torch.rand(2, RATE) - 0.5
    changed = samples.clone()
    changed[:, 95 * 160 + 400 :] = 0.3
    assert torch.equal(vggish_log_mel(samples), vggish_log_mel(changed))
    assert torch.equal(vggish_log_mel(samples), vggish_log_mel(samples[:, :15600]))
    changed[:, 95 * 160 + 399] = -0.9  # Hann is almost 0 there, yet not quite
    changed[:, 95 * 160 + 300] = -0.9
    assert not torch.equal(vggish_log_mel(samples)[:, :, 95], vggish_log_mel(changed)[:, :, 95])
    assert torch.equal(vggish_log_mel(samples)[:, :, :94], vggish_log_mel(changed)[:, :, :94])


def test_silence_is_finite() -> None:
    rows = vggish_log_mel(torch.zeros(3, RATE))
    assert torch.allclose(rows, torch.tensor(math.log(0.01)))


@pytest.mark.parametrize("hertz", [200.0, 1000.0, 5000.0])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: float) -> None:
    tone = torch.sin(2 * math.pi * hertz * torch.arange(RATE) / RATE)
    loudest = log_mel(tone).mean(0).argmax().item()
    edges = np.linspace(1127 * math.log(1 + 125 / 700), 1127 * math.log(1 + 7500 / 700), 66)
    assert edges[loudest] < 1127 * math.log(1 + hertz / 700) < edges[loudest + 2]


@pytest.mark.parametrize(
    ("rate", "seconds", "window", "hop", "frames"),
    [
        (16000, 1.0, 0.025, 0.010, 98),
        (8000, 1.0, 0.025, 0.010, 98),
        (44100, 0.5, 0.025, 0.010, 48),
        (16000, 0.025, 0.025, 0.010, 1),
        (16000, 0.0349, 0.025, 0.010, 1),
        (16000, 1.0, 0.050, 0.025, 39),
    ],
)
def test_windows_lie_wholly_within_the_sound(
    rate: int, seconds: float, window: float, hop: float, frames: int
) -> None:
    samples = torch.rand(2, 3, int(seconds * rate))
    rows = log_mel(
        samples,
        sample_rate_hz=rate,
        window_seconds=window,
        hop_seconds=hop,
        num_bands=20,
        lowest_hz=200.0,
        highest_hz=3500.0,
    )
    assert rows.shape == (2, 3, frames, 20)
    assert torch.allclose(
        rows[1, 2, 0],
        log_mel(
            samples[1, 2, : round(window * rate)],
            sample_rate_hz=rate,
            window_seconds=window,
            hop_seconds=hop,
            num_bands=20,
            lowest_hz=200.0,
            highest_hz=3500.0,
        )[0],
        atol=1e-4,
    )


def test_filters_are_triangles_that_add_up_to_one_between_the_outer_centers() -> None:
    filters = mel_filters(257, RATE, 64, 125.0, 7500.0)
    assert filters.shape == (257, 64)
    assert filters.min() == 0
    assert filters.max() <= 1
    hertz = torch.linspace(0, 8000, 257)
    between = (hertz > 200) & (hertz < 7200)
    assert torch.allclose(filters.sum(1)[between], torch.ones(int(between.sum()), dtype=torch.float64))
    outside = (hertz < 125) | (hertz > 7500)
    assert not filters[outside].any()


def test_gradients_are_those_of_the_values() -> None:
    samples = torch.rand(1, 60, dtype=torch.float64, requires_grad=True)

    def short(samples: torch.Tensor) -> torch.Tensor:
        return log_mel(samples, sample_rate_hz=1000, num_bands=3, lowest_hz=50.0, highest_hz=500.0)

    assert torch.autograd.gradcheck(short, samples)


def test_silence_has_a_gradient_that_is_a_number() -> None:
    samples = torch.zeros(1, RATE, requires_grad=True)
    vggish_log_mel(samples).sum().backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"highest_hz": 8001.0}, r"take one or more between 0 and 8000\.0 Hz"),
        ({"lowest_hz": 7500.0}, r"64 bands from 7500\.0 to 7500\.0 Hz"),
        ({"lowest_hz": -1.0}, r"64 bands from -1\.0"),
        ({"num_bands": 0}, "0 bands"),
        ({"num_bands": 128}, "some would always be empty; choose fewer"),
        ({"hop_seconds": 0.0}, r"windows of 0\.025 s every 0\.0 s are 400 and 0 samples long"),
        ({"window_seconds": 1.1}, r"16000 samples of sound; one window of 1\.1 s is 17600"),
    ],
)
def test_numbers_that_make_no_spectrogram_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        log_mel(torch.zeros(2, RATE), **arguments)  # type: ignore[arg-type]


def test_rows_too_short_for_vggish_are_named() -> None:
    with pytest.raises(ValueError, match="15599 samples a row; VGGish takes 15600 or more"):
        vggish_log_mel(torch.zeros(2, 15599))
