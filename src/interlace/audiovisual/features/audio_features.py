"""From seconds of sound to one row of features each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from interlace.audiovisual.features.log_mel import (
    VGGISH_OFFSET,
    VGGISH_RATE_HZ,
    mel_spectrogram,
    vggish_log_mel,
)
from interlace.audiovisual.features.vggish import VGGISH_FEATURES, VGGish, Whitening
from interlace.audiovisual.features.vggish_weights import PCA_URL, VGGISH_URL, load_vggish, load_whitening

AUDIO_EXTRACTORS = ("log_mel", "vggish")
"""What :func:`create_audio_extractor` builds."""

POST_PROCESSES = ("none", "pca", "quantized")


class AudioExtractor(nn.Module, ABC):
    """One row of features a second. A second that is not heard is a row of zeros, and is taken like any other."""

    sample_rate_hz: int
    """S: samples that stand for a second."""
    num_features: int
    """A."""

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """What :func:`create_audio_extractor` takes to build the same again, without weights; JSON can hold it."""

    def forward(self, samples: Float[Tensor, "N S"]) -> Float[Tensor, "N A"]:
        """Seconds of mono sound in [-1, 1] to features; no second is aware of another.

        Raises:
            ValueError: rows of another length than a second.
        """
        if samples.shape[1] != self.sample_rate_hz:
            raise ValueError(
                f"{samples.shape[1]} samples a second; these features are of {self.sample_rate_hz}: "
                f"read the sound with sample_rate_hz={self.sample_rate_hz}"
            )
        return self._rows(samples)

    @abstractmethod
    def _rows(self, samples: Float[Tensor, "N S"]) -> Float[Tensor, "N A"]: ...


class LogMelExtractor(AudioExtractor):
    """How loud it is, by pitch and time: needs no training, and no weights.

    A second is cut into ``num_steps`` parts; of each, the row has ``num_bands`` numbers, from low to high: log(1 + m /
    0.01), averaged over the part, m the magnitude in a band. That is VGGish's log(m + 0.01), moved so that
    silence is 0, as a second that is not heard.

    Args:
        sample_rate_hz: of the sound it takes.
        num_bands: from ``lowest_hz`` to ``highest_hz``, equally wide in mel; by default as VGGish has them.
        num_steps: parts of a second, of 0.25 s by default.
        lowest_hz: lower end of the lowest band.
        highest_hz: upper end of the highest band.

    Raises:
        ValueError: bands that cannot be told apart, or more parts than windows.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.audio_features import LogMelExtractor
        >>> LogMelExtractor(num_bands=32, num_steps=5)(torch.zeros(10, 16000)).shape
        torch.Size([10, 160])
    """

    def __init__(
        self,
        *,
        sample_rate_hz: int = VGGISH_RATE_HZ,
        num_bands: int = 64,
        num_steps: int = 4,
        lowest_hz: float = 125.0,
        highest_hz: float = 7500.0,
    ) -> None:
        super().__init__()
        self.sample_rate_hz = sample_rate_hz
        self.num_features = num_bands * num_steps
        self._num_steps = num_steps
        self._mel: dict[str, Any] = {"num_bands": num_bands, "lowest_hz": lowest_hz, "highest_hz": highest_hz}
        num_windows = self._spectrogram(torch.zeros(1, sample_rate_hz)).shape[1]
        if not 1 <= num_steps <= num_windows:
            raise ValueError(
                f"num_steps={num_steps}; a second has {num_windows} windows: take 1 to {num_windows}"
            )

    @property
    def spec(self) -> dict[str, Any]:
        """Name and arguments."""
        return {
            "name": "log_mel",
            "sample_rate_hz": self.sample_rate_hz,
            "num_steps": self._num_steps,
            **self._mel,
        }

    def _rows(self, samples: Float[Tensor, "N S"]) -> Float[Tensor, "N A"]:
        log_mel = torch.log1p(self._spectrogram(samples) / VGGISH_OFFSET)
        steps = F.adaptive_avg_pool1d(log_mel.transpose(1, 2), self._num_steps)  # (N, bands, steps)
        return steps.transpose(1, 2).flatten(1)

    def _spectrogram(self, samples: Float[Tensor, "N S"]) -> Float[Tensor, "N windows bands"]:
        return mel_spectrogram(
            samples, sample_rate_hz=self.sample_rate_hz, window_seconds=0.025, hop_seconds=0.010, **self._mel
        )


class VGGishExtractor(AudioExtractor):
    """The 128 numbers of VGGish, of the first 0.96 s of each second: its window, which does not drift so.

    Without weights until ``load_state_dict`` or :func:`interlace.audiovisual.features.vggish_weights.load_vggish` loads
    some.

    Args:
        post_process: ``none``, ``pca`` (whitened, in [-2, 2]), or ``quantized`` (whole numbers from 0 to 255, as
            AudioSet has them); see :class:`interlace.audiovisual.features.vggish.Whitening`.
        ends_in_relu: see :class:`interlace.audiovisual.features.vggish.VGGish`.

    Raises:
        ValueError: an unknown ``post_process``.
    """

    sample_rate_hz = VGGISH_RATE_HZ
    num_features = VGGISH_FEATURES

    def __init__(self, *, post_process: str = "none", ends_in_relu: bool = True) -> None:
        super().__init__()
        if post_process not in POST_PROCESSES:
            raise ValueError(f"post_process={post_process!r}; choose from {', '.join(POST_PROCESSES)}")
        self._arguments = {"post_process": post_process, "ends_in_relu": ends_in_relu}
        self.network = VGGish(ends_in_relu=ends_in_relu)
        quantized = post_process == "quantized"
        self.post_process = nn.Identity() if post_process == "none" else Whitening(quantized=quantized)

    @property
    def spec(self) -> dict[str, Any]:
        """Name and arguments; its weights are those of ``state_dict()``, and nothing is downloaded for it."""
        return {"name": "vggish", "pretrained": False, **self._arguments}

    def _rows(self, samples: Float[Tensor, "N S"]) -> Float[Tensor, "N A"]:
        features: Tensor = self.post_process(self.network(vggish_log_mel(samples)))
        return features


def create_audio_extractor(
    name: str = "log_mel",
    *,
    pretrained: bool | str | Path | None = None,
    pca: bool | str | Path | None = None,
    **arguments: Any,
) -> AudioExtractor:
    """Build what makes features of sound, in evaluation mode.

    Args:
        name: ``log_mel`` (:class:`LogMelExtractor`, without weights) or ``vggish`` (:class:`VGGishExtractor`).
        pretrained: of VGGish, a file or URL of its weights; True, or nothing said, for the published ones, which are
            downloaded once; False for random ones, into which others are to be loaded.
        pca: the same for the PCA of ``post_process``; as ``pretrained`` is, if nothing is said: True or False.
        arguments: those of the class.

    Raises:
        ValueError: an unknown name, weights for what has none, or weights that cannot be had.
        TypeError: an unknown argument.

    Example:
        >>> from interlace.audiovisual.features.audio_features import create_audio_extractor
        >>> extractor = create_audio_extractor("log_mel", num_steps=2)
        >>> extractor.num_features, create_audio_extractor(**extractor.spec).spec == extractor.spec
        (128, True)
    """
    if name == "vggish":
        extractor = VGGishExtractor(**arguments)
        pretrained = True if pretrained is None else pretrained
        if pretrained is not False:
            load_vggish(extractor.network, VGGISH_URL if pretrained is True else pretrained)
        if isinstance(pca, str | Path) and not isinstance(extractor.post_process, Whitening):
            raise ValueError(f"{pca}: nothing is whitened; give post_process=pca or quantized as well")
        pca = pretrained is not False if pca is None else pca
        if isinstance(extractor.post_process, Whitening) and pca is not False:
            load_whitening(extractor.post_process, PCA_URL if pca is True else pca)
        return extractor.eval()
    if name != "log_mel":
        raise ValueError(f"features of sound {name!r} are unknown; choose from {', '.join(AUDIO_EXTRACTORS)}")
    for weights in (pretrained, pca):
        if isinstance(weights, str | Path):
            raise ValueError(f"{weights}: log_mel has no weights to load; leave them out, or choose vggish")
    return LogMelExtractor(**arguments).eval()
