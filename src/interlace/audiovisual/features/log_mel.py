"""Log-mel spectrograms: any, and the one that VGGish is trained on. Plain torch, differentiable.

The definition is that of AudioSet's `mel_features.py` and `vggish_params.py` (Hershey et al., "CNN Architectures for
Large-Scale Audio Classification", ICASSP 2017, section 3): magnitudes, not powers; frames that lie wholly within the
sound, nothing padded; triangles that are linear in mel, not in hertz.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

VGGISH_RATE_HZ = 16000
VGGISH_FRAMES = 96
"""10 ms apart: an example is 0.96 s long."""
VGGISH_BANDS = 64
VGGISH_OFFSET = 0.01
"""Added before the logarithm."""
_WINDOW_SECONDS, _HOP_SECONDS = 0.025, 0.010
_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0


def log_mel(
    samples: Float[Tensor, "*batch S"],
    *,
    sample_rate_hz: int = VGGISH_RATE_HZ,
    num_bands: int = VGGISH_BANDS,
    window_seconds: float = _WINDOW_SECONDS,
    hop_seconds: float = _HOP_SECONDS,
    lowest_hz: float = _LOWEST_HZ,
    highest_hz: float = _HIGHEST_HZ,
    offset: float = VGGISH_OFFSET,
) -> Float[Tensor, "*batch frames bands"]:
    """log(mel + offset), a row a window; the defaults are those of VGGish.

    Args:
        samples: mono, in [-1, 1].
        sample_rate_hz: samples a second.
        num_bands: triangles, their corners equally far apart in mel.
        window_seconds: length of a window (periodic Hann); the Fourier transform is as long as the next power of 2.
        hop_seconds: from one window to the next.
        lowest_hz: the lower corner of the first band.
        highest_hz: the upper corner of the last one; half the rate at most.
        offset: keeps silence finite.

    Raises:
        ValueError: less sound than a window, or bands that the transform cannot tell apart.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.log_mel import log_mel
        >>> log_mel(torch.zeros(2, 8000), sample_rate_hz=8000, num_bands=40, highest_hz=4000.0).shape
        torch.Size([2, 98, 40])
    """
    mel = mel_spectrogram(
        samples,
        sample_rate_hz=sample_rate_hz,
        num_bands=num_bands,
        window_seconds=window_seconds,
        hop_seconds=hop_seconds,
        lowest_hz=lowest_hz,
        highest_hz=highest_hz,
    )
    return torch.log(mel + offset)


def vggish_log_mel(samples: Float[Tensor, "N S"]) -> Float[Tensor, "N 1 96 64"]:
    """What VGGish sees of each row: the first 96 windows, 10 ms apart, in 64 bands from 125 to 7500 Hz.

    The last window ends at 0.975 s. A second of sound holds 98 windows; as each row begins anew, so does its example,
    and the rows do not drift against the video, as examples 0.96 s apart do by 0.4 s in 10 s.

    Args:
        samples: rows of 15600 samples or more, at 16 kHz.

    Raises:
        ValueError: shorter rows.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.log_mel import vggish_log_mel
        >>> vggish_log_mel(torch.rand(10, 16000) - 0.5).shape
        torch.Size([10, 1, 96, 64])
    """
    rows = log_mel(samples)[:, None, :VGGISH_FRAMES]
    if rows.shape[2] < VGGISH_FRAMES:
        raise ValueError(
            f"{samples.shape[1]} samples a row; VGGish takes 15600 or more (0.975 s at {VGGISH_RATE_HZ} Hz)"
        )
    return rows


def mel_spectrogram(
    samples: Float[Tensor, "*batch S"],
    *,
    sample_rate_hz: int,
    num_bands: int,
    window_seconds: float,
    hop_seconds: float,
    lowest_hz: float,
    highest_hz: float,
) -> Float[Tensor, "*batch frames bands"]:
    """The sum of the magnitudes in each band, a row a window; arguments as of :func:`log_mel`."""
    window = round(window_seconds * sample_rate_hz)
    hop = round(hop_seconds * sample_rate_hz)
    if window < 2 or hop < 1:
        raise ValueError(
            f"windows of {window_seconds} s every {hop_seconds} s are {window} and {hop} samples long at "
            f"{sample_rate_hz} Hz; choose longer ones, or a higher rate"
        )
    if samples.shape[-1] < window:
        raise ValueError(
            f"{samples.shape[-1]} samples of sound; one window of {window_seconds} s is {window}: give a longer row"
        )
    length = 2 ** math.ceil(math.log2(window))
    filters = mel_filters(length // 2 + 1, sample_rate_hz, num_bands, lowest_hz, highest_hz)
    hann = torch.hann_window(window, periodic=True, dtype=samples.dtype, device=samples.device)
    frames = samples.unfold(-1, window, hop)
    magnitudes = torch.fft.rfft(frames * hann, length).abs()
    return magnitudes @ filters.to(magnitudes)


def mel_filters(
    num_bins: int, sample_rate_hz: int, num_bands: int, lowest_hz: float, highest_hz: float
) -> Float[Tensor, "bins bands"]:
    """The weight of each bin of a spectrum (0 Hz to half the rate) in each band, float64.

    Raises:
        ValueError: the bands leave the spectrum, or one of them lies between two bins.

    Example:
        >>> from interlace.audiovisual.features.log_mel import mel_filters
        >>> mel_filters(257, 16000, 64, 125.0, 7500.0).shape
        torch.Size([257, 64])
    """
    if num_bands < 1 or not 0 <= lowest_hz < highest_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"{num_bands} bands from {lowest_hz} to {highest_hz} Hz at {sample_rate_hz} Hz; take one or more "
            f"between 0 and {sample_rate_hz / 2} Hz"
        )
    bins = _mel(torch.linspace(0, sample_rate_hz / 2, num_bins, dtype=torch.float64))[:, None]
    ends = _mel(torch.tensor([lowest_hz, highest_hz], dtype=torch.float64))
    corners = torch.linspace(ends[0].item(), ends[1].item(), num_bands + 2, dtype=torch.float64)
    lower, center, upper = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins - lower) / (center - lower)
    falling = (upper - bins) / (upper - center)
    filters = torch.minimum(rising, falling).clamp(min=0)
    filters[0] = 0  # the constant part is no sound (as in HTK)
    if bool((filters.sum(0) == 0).any()):
        raise ValueError(
            f"{num_bands} bands from {lowest_hz} to {highest_hz} Hz are finer than the {num_bins} bins of the "
            "spectrum, and some would always be empty; choose fewer, a longer window, or a higher lowest_hz"
        )
    return filters


def _mel(hertz: Tensor) -> Tensor:
    """The scale of HTK."""
    return 1127.0 * torch.log1p(hertz / 700.0)
