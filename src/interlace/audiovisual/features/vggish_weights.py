"""The published weights of VGGish for PyTorch: where they lie, and our names for theirs.

torchvggish has `features.0.weight`, ..., `embeddings.4.bias`, as we do; torchaudio calls the same `features_network.*`
and `embedding_network.*`. The PCA is a file of its own, or stands beside the network under `pproc.*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from torch import Tensor, nn

from interlace.audiovisual.features.vggish import VGGish, Whitening
from interlace.models.plain import WeightsError, first_line

_RELEASE = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"
VGGISH_URL = f"{_RELEASE}/vggish-10086976.pth"
PCA_URL = f"{_RELEASE}/vggish_pca_params-970ea276.pth"
TORCHAUDIO_URL = "https://download.pytorch.org/torchaudio/models/vggish.pt"

_PREFIXES = {"features_network.": "features.", "embedding_network.": "embeddings."}
_PCA_NAMES = {"pca_matrix": "pca_eigen_vectors"}


def load_vggish(network: VGGish, source: str | Path = VGGISH_URL) -> None:
    """Load the weights of the network from a file or a URL; all of them, and nothing else.

    Args:
        network: receives them.
        source: a URL, of torchvggish (VGGISH_URL) or torchaudio (TORCHAUDIO_URL), whose file is kept where torch.hub
            keeps its own; or a file: .pth/.pt, of which only tensors are read (weights_only), or .safetensors.

    Raises:
        WeightsError: it cannot be read or downloaded, or its weights are not those of VGGish.
    """
    state = {name: value for name, value in read_weights(source).items() if not name.startswith("pproc.")}
    _load(network, {_our_name(name): value for name, value in state.items()}, source, "VGGish")


def load_whitening(whitening: Whitening, source: str | Path = PCA_URL) -> None:
    """Load the PCA of the features, from a file of its own or from one that holds it beside the network.

    Raises:
        WeightsError: it cannot be read or downloaded, or holds no PCA of 128 features.
    """
    state = {name.removeprefix("pproc."): value for name, value in read_weights(source).items()}
    pca = {_PCA_NAMES.get(name, name): value for name, value in state.items() if name.startswith("pca_")}
    if "pca_means" in pca and pca["pca_means"].dim() == 1:
        pca["pca_means"] = pca["pca_means"][:, None]
    _load(whitening, pca, source, "the PCA of VGGish's features")


def read_weights(source: str | Path) -> dict[str, Tensor]:
    """The tensors of a file, or of a URL, which is downloaded once.

    Raises:
        WeightsError: no such file, no such URL, or not a file of weights.
    """
    path = _downloaded(source) if urlparse(str(source)).scheme in ("http", "https", "file") else Path(source)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file of weights")
    try:
        state = timm.models.load_state_dict(str(path), device="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes each reader raise something else
        raise WeightsError(f"{path}: not a file of weights ({first_line(error)})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            f"{path}: not a file of weights, but of something else; name the file of a state_dict"
        )
    return dict(state)


def _downloaded(source: str | Path) -> Path:
    url = str(source)
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # vggish-10086976.pth: the name says how the checksum begins
    _, _, checksum = path.stem.rpartition("-")
    is_checksum = len(checksum) >= 8 and set(checksum) <= set("0123456789abcdef")
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum if is_checksum else None)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{url}: cannot be downloaded ({first_line(error)}); download it by hand, and give its path"
        ) from error
    return path


def _our_name(name: str) -> str:
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    return name if prefix is None else _PREFIXES[prefix] + name.removeprefix(prefix)


def _load(module: nn.Module, state: dict[str, Tensor], source: str | Path, what: str) -> None:
    expected = module.state_dict()
    missing = sorted(expected.keys() - state.keys())
    left_over = sorted(state.keys() - expected.keys())
    shared = sorted(state.keys() & expected.keys())
    misfits = [
        f"{k} {tuple(state[k].shape)}, not {tuple(expected[k].shape)}"
        for k in shared
        if state[k].shape != expected[k].shape
    ]
    for has, names in (("lacks", missing), ("has unknown", left_over), ("has other sizes of", misfits)):
        if names:
            raise WeightsError(
                f"{source}: not weights of {what}; it {has} {len(names)} weights, e.g. {', '.join(names[:3])}"
            )
    module.load_state_dict(state)
