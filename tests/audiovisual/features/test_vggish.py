from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from interlace.audiovisual.features.vggish import VGGish, Whitening

SHAPES = {
    "features.0": (64, 1, 3, 3),
    "features.3": (128, 64, 3, 3),
    "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3),
    "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3),
    "embeddings.0": (4096, 12288),
    "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}


def test_weights_are_those_of_the_release() -> None:
    with torch.device("meta"):
        state = VGGish().state_dict()
    expected = {f"{layer}.weight": shape for layer, shape in SHAPES.items()}
    expected |= {f"{layer}.bias": shape[:1] for layer, shape in SHAPES.items()}
    assert {name: tuple(value.shape) for name, value in state.items()} == expected
    assert sum(value.numel() for value in state.values()) == 72_141_184


@pytest.fixture(scope="module")
def network() -> VGGish:
    torch.manual_seed(0)
    with torch.device("meta"):
        network = VGGish()
    network.to_empty(device="cpu")
    with torch.no_grad():
        for name, value in network.named_parameters():
            scale = 0.0 if name.endswith("bias") else (2 / value[0].numel()) ** 0.5
            value.uniform_(-scale, scale)  # quicker than what the layers do by themselves
    return network.eval()


def test_maps_go_to_the_linear_layers_with_their_channels_last(network: VGGish) -> None:
    rows = torch.rand(2, 1, 96, 64)
    with torch.no_grad():
        maps = network.features(rows)
        assert maps.shape == (2, 512, 6, 4)
        flat = torch.stack([maps[:, :, i, j] for i in range(6) for j in range(4)], 1).reshape(2, -1)
        hidden = (flat @ network.embeddings[0].weight.T).relu()
        expected = ((hidden @ network.embeddings[2].weight.T).relu() @ network.embeddings[4].weight.T).relu()
        features = network(rows)
    assert features.shape == (2, 128)
    assert features.min() == 0
    assert torch.allclose(features, expected, atol=1e-5)


def test_without_the_last_relu_the_features_are_those_before_it(network: VGGish) -> None:
    with torch.device("meta"):
        linear = VGGish(ends_in_relu=False)
    linear.load_state_dict(network.state_dict(), assign=True)
    rows = torch.rand(2, 1, 96, 64)
    with torch.no_grad():
        features = linear(rows)
        assert features.min() < 0
        assert torch.allclose(features.relu(), network(rows), atol=1e-6)
    assert isinstance(linear.embeddings[-1], nn.Identity)


@pytest.mark.parametrize("quantized", [False, True])
def test_whitening_is_that_of_the_release(quantized: bool) -> None:
    rng = np.random.default_rng(0)
    vectors, means = rng.normal(size=(128, 128)) / 8, rng.normal(size=(128, 1))
    features = rng.uniform(0, 2, (5, 128))
    whitening = Whitening(quantized=quantized).double()
    whitening.load_state_dict(
        {"pca_eigen_vectors": torch.from_numpy(vectors), "pca_means": torch.from_numpy(means)}
    )
    expected = np.clip(np.dot(vectors, features.T - means).T, -2.0, 2.0)
    if quantized:
        expected = ((expected + 2.0) * (255.0 / 4.0)).astype(np.uint8).astype(np.float64)
    actual = whitening(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-12)
    assert (np.abs(expected - expected.round()).max() == 0) == quantized


def test_what_lies_far_off_is_cut_off() -> None:
    far = torch.tensor([-9.0, -2.0, 0.0, 2.0, 9.0] + 123 * [0.0])[None]
    assert Whitening()(far)[0, :5].tolist() == [-2, -2, 0, 2, 2]
    assert Whitening(quantized=True)(far)[0, :5].tolist() == [0, 0, 127, 255, 255]
