from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from interlace.audiovisual.features.vggish import VGGish, Whitening
from interlace.audiovisual.features.vggish_weights import (
    PCA_URL,
    VGGISH_URL,
    load_vggish,
    load_whitening,
    read_weights,
)
from interlace.models.plain import WeightsError


@pytest.fixture
def network() -> VGGish:
    """On no device, so that it takes no time to build."""
    with torch.device("meta"):
        return VGGish()


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """As published, each tensor filled with its number; on disk they take a number each."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in VGGish().state_dict().items()}
    return {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())}


def save(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


def loaded(path: Path) -> dict[str, float]:
    """What stands first in each weight of the network, once it has loaded the file."""
    with torch.device("meta"):
        network = VGGish()
    network.to_empty(device="cpu")
    load_vggish(network, path)
    return {name: value.flatten()[-1].item() for name, value in network.state_dict().items()}


def in_torchaudio(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {"features": "features_network", "embeddings": "embedding_network"}
    return {f"{names[name.split('.')[0]]}.{name.split('.', 1)[1]}": value for name, value in state.items()}


def test_weights_of_torchvggish_and_torchaudio_come_to_the_same_places(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    expected = {name: float(i) for i, name in enumerate(state)}
    pca = {"pproc.pca_matrix": torch.eye(128), "pproc.pca_means": torch.zeros(128, 1)}
    assert loaded(save(tmp_path / "vggish.pth", state | pca)) == expected
    assert loaded(save(tmp_path / "vggish.pt", in_torchaudio(state))) == expected


@pytest.mark.parametrize("form", ["release", "vector", "beside the network", "safetensors"])
def test_pca_in_all_its_forms(form: str, tmp_path: Path, state: dict[str, Tensor]) -> None:
    vectors, means = torch.rand(128, 128), torch.rand(128, 1)
    path = tmp_path / "pca.pth"
    if form == "safetensors":
        path = tmp_path / "pca.safetensors"
        save_file({"pca_eigen_vectors": vectors, "pca_means": means}, path)
    elif form == "beside the network":
        save(path, state | {"pproc.pca_matrix": vectors, "pproc.pca_means": means})
    else:
        save(path, {"pca_eigen_vectors": vectors, "pca_means": means[:, 0] if form == "vector" else means})
    whitening = Whitening()
    load_whitening(whitening, path)
    assert torch.equal(whitening.pca_eigen_vectors, vectors)
    assert torch.equal(whitening.pca_means, means)


def test_weights_that_lack_some_are_refused(
    network: VGGish, state: dict[str, Tensor], tmp_path: Path
) -> None:
    short = {name: value for name, value in state.items() if name != "embeddings.4.bias"}
    path = save(tmp_path / "short.pth", short)
    with pytest.raises(
        WeightsError, match=r"short\.pth: not .*; it lacks 1 weights, e\.g\. embeddings\.4\.bias"
    ):
        load_vggish(network, path)


def test_weights_that_have_more_are_refused(
    network: VGGish, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = save(tmp_path / "more.pth", state | {"classifier.weight": torch.zeros(2, 128)})
    with pytest.raises(
        WeightsError, match=r"more\.pth: .* it has unknown 1 weights, e\.g\. classifier\.weight"
    ):
        load_vggish(network, path)


def test_weights_of_other_sizes_are_refused(
    network: VGGish, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = save(tmp_path / "wide.pth", state | {"embeddings.4.bias": torch.zeros(256)})
    with pytest.raises(
        WeightsError, match=r"other sizes of 1 weights, .* embeddings\.4\.bias \(256,\), not \(128,\)"
    ):
        load_vggish(network, path)


def test_a_pca_is_not_the_network_nor_the_other_way_round(
    network: VGGish, state: dict[str, Tensor], tmp_path: Path
) -> None:
    pca = save(tmp_path / "pca.pth", {"pca_eigen_vectors": torch.eye(128), "pca_means": torch.zeros(128, 1)})
    with pytest.raises(WeightsError, match=r"pca\.pth: not weights of VGGish; it lacks 18 weights"):
        load_vggish(network, pca)
    with pytest.raises(
        WeightsError, match=r"vggish\.pth: not weights of the PCA of VGGish's features; it lacks 2"
    ):
        load_whitening(Whitening(), save(tmp_path / "vggish.pth", state))


class Runs:
    """Writes to the disk when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_no_code_of_a_file_is_run(network: VGGish, tmp_path: Path) -> None:
    path = save(tmp_path / "evil.pth", {"features.0.weight": Runs(tmp_path / "ran")})
    with pytest.raises(WeightsError, match=r"evil\.pth: not a file of weights"):
        load_vggish(network, path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a file of weights"),
        (b"text", "not a file of weights"),
        (None, "there is no such file of weights"),
    ],
)
def test_what_is_no_file_of_weights_is_named(
    content: bytes | None, message: str, network: VGGish, tmp_path: Path
) -> None:
    path = tmp_path / "vggish.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"vggish.pth: {message}"):
        load_vggish(network, path)


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}])
def test_a_file_of_something_else_is_named(content: object, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"odd\.pth: not a file of weights"):
        read_weights(save(tmp_path / "odd.pth", content))


def test_a_url_is_downloaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    source = save(tmp_path / "pca.pth", {"pca_means": torch.ones(3)})
    for _ in range(2):
        assert torch.equal(read_weights(source.as_uri())["pca_means"], torch.ones(3))
        source.unlink(missing_ok=True)
    assert (tmp_path / "home" / "hub" / "checkpoints" / "pca.pth").is_file()


def test_a_download_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    source = save(tmp_path / "pca-00000000.pth", {"pca_means": torch.ones(3)})
    with pytest.raises(WeightsError, match=r"pca-00000000\.pth: cannot be downloaded \(invalid hash value"):
        read_weights(source.as_uri())
    assert not list((tmp_path / "home").rglob("*.pth"))


def test_a_url_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    missing = (tmp_path / "missing.pth").as_uri()
    with pytest.raises(WeightsError, match=r"missing\.pth: cannot be downloaded .*; download it by hand"):
        read_weights(missing)


def test_the_release_is_where_torchvggish_has_it() -> None:
    release = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"
    assert f"{release}/vggish-10086976.pth" == VGGISH_URL
    assert f"{release}/vggish_pca_params-970ea276.pth" == PCA_URL
