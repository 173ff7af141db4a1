from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest
import torch

import interlace
from interlace.export import ClipGraph, StreamGraph, to_graph, why_not
from interlace.export.graph import CANNOT
from interlace.export.torch_file import to_program
from interlace.models import VideoModel
from interlace.models.ensembles import ENSEMBLES
from interlace.models.methods import METHODS

SIZE = (48, 32)
# What another network needs to be small: time that divides, an ensemble with members.
ARGUMENTS: dict[str, dict[str, object]] = {
    "i3d_light": {"num_segments": 8},
    "i3d_light_nl": {"num_segments": 8},
    "i3d_gcn": {"proposals": "grid"},
    "i3d_nl_gcn": {"proposals": "grid"},
    "tin_en": {"num_segments": 6},
    "tsm_en": {"num_segments": 6},
    "eco_enlite": {"num_segments": 23},
    "two_stream_eco_enlite": {"num_segments": 23},
    "ensemble": {
        "num_segments": 6,
        "weights": [1, 2],
        "multi_label": True,
        "members": [
            {"model": f"{method}_resnet18", "model_args": {"num_segments": T, "layers": (1, 1, 1, 1)}}
            for method, T in (("tsm", 2), ("tin", 4))
        ],
    },
}


# Of two networks that are exported by themselves; as programs they cost too much for the fast tier.
TWICE = ("two_stream_tsm", "two_stream_tin", "two_stream_trn", "two_stream_eco_enlite")


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in TWICE else ()) for name in (*METHODS, *ENSEMBLES)
    ]
)
def network(request: pytest.FixtureRequest, small_network: Callable[..., VideoModel]) -> VideoModel:
    """One small network of each method and each ensemble."""
    method = request.param
    name = method if method == "ensemble" else f"{method}_resnet18"
    return small_network(name, **ARGUMENTS.get(method, {}))


def operations(program: torch.export.ExportedProgram) -> Iterator[str]:
    return (str(node.target) for node in program.graph.nodes if node.op == "call_function")


@torch.no_grad()
def test_every_network_exports_and_computes_the_same(network: VideoModel) -> None:
    graph = ClipGraph(network)
    program = to_program(graph, graph.example(SIZE, batch=2))
    assert {name.partition(".")[0] for name in operations(program)} <= {"aten", "<built-in function getitem>"}
    (clip,) = graph.example(SIZE, batch=3)
    expected = network(clip)
    assert expected.std() > 1e-3
    torch.testing.assert_close(program.module()(clip), expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("method", TWICE[:-1])  # eco_enlite has 23 frames a clip, and is taken above
def test_two_networks_compute_the_same(method: str, small_network: Callable[..., VideoModel]) -> None:
    model = small_network(f"{method}_resnet18", **ARGUMENTS.get(method, {}))
    graph = ClipGraph(model)
    (clip,) = graph.example(SIZE, batch=3)
    torch.testing.assert_close(graph(clip), model(clip), atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.streams])
def test_every_stream_exports_and_remembers_the_same(
    method: str, small_network: Callable[..., VideoModel]
) -> None:
    model = small_network(f"{method}_resnet18")
    graph = StreamGraph(model)
    program = to_program(graph, graph.example(SIZE, batch=2))
    assert {name.partition(".")[0] for name in operations(program)} <= {"aten", "<built-in function getitem>"}
    step = program.module()
    state, remembered = graph.init_state(SIZE, batch=3), model.init_state(3)
    for frame in torch.randn(2 * model.num_segments, 3, 3, *SIZE):
        logits, *state = step(frame, *state)
        expected, remembered = model.step(frame, remembered)
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    assert len(state) == len(remembered)
    for found, wanted in zip(state, remembered, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tsm_resnet18", {"modality": "rgb_diff"}),
        ("tin_resnet18", {"in_chans": 1, "mirrored": False}),
        ("tin_resnet18", {"num_segments": 1}),
        ("tsn_nl_resnet18", {"similarity": "concatenation"}),
        ("tsn_nl_resnet18", {"similarity": "dot_product"}),
    ],
)
def test_its_arguments_export_too(
    name: str, arguments: dict[str, object], small_network: Callable[..., VideoModel]
) -> None:
    model = small_network(name, **arguments)
    graph = ClipGraph(model)
    (clip,) = graph.example(SIZE, batch=3)
    program = to_program(graph, graph.example(SIZE))
    assert {target.partition(".")[0] for target in operations(program)} <= {
        "aten",
        "<built-in function getitem>",
    }
    torch.testing.assert_close(program.module()(clip), model(clip), atol=1e-4, rtol=0)


def test_the_network_itself_is_not_changed(small_network: Callable[..., VideoModel]) -> None:
    model = small_network("tin_resnet18").double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = to_graph(model)
    assert next(graph.parameters()).dtype == torch.float32
    assert not graph.training
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_cannot_be_exported_says_why() -> None:
    assert {method for method in METHODS if why_not(f"{method}_resnet18")} == set(CANNOT)
    model = interlace.create_model("i3d_gcn_resnet18", num_classes=5, num_segments=4)
    with pytest.raises(ValueError, match=r"i3d_gcn_resnet18 cannot be exported: .*proposals='grid'"):
        to_graph(model)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        why_not("tinn_resnet18")


def test_a_network_that_does_not_stream_names_one_that_does(small_network: Callable[..., VideoModel]) -> None:
    with pytest.raises(ValueError, match="tsm_causal"):
        StreamGraph(small_network("tin_resnet18"))


def test_an_optimized_network_is_not_exported(small_network: Callable[..., VideoModel]) -> None:
    fast = interlace.optimize(small_network("tsn_resnet18"), verify=False)
    with pytest.raises(ValueError, match="OptimizedModel cannot be exported"):
        inspect.unwrap(to_graph)(fast)  # the check of its type is one of the tests only
