from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from interlace.temporal import RelationConsensus
from interlace.temporal.relation import draw_tuples, spread_tuples


def filled(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """The parameters that were recorded with, filled from their names as the reference's README says.

    Relations have no norms, whose weights would be around 1.
    """
    state = {}
    for name, shape in shapes.items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        scale = 0.1 if len(shape) == 1 else 1 / np.sqrt(np.prod(shape[1:]))
        state[name] = torch.from_numpy(scale * generator.standard_normal(shape))
    return state


def recorded(path: Path, names: dict[str, str]) -> dict[str, Tensor]:
    """The same under our names: those of layers are translated."""
    state = filled(json.loads(path.read_text())["keys"])
    return {f"{names[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": value for k, value in state.items()}


@pytest.mark.reference
def test_logits_of_the_published_multi_scale_relations(reference_dir):
    consensus = RelationConsensus(32, 11, num_segments=3, scales=(3, 2)).eval()
    layers = ((1, "fc1"), (3, "fc2"))
    names = {f"fc_fusion_scales.{i}.{n}": f"relations.{i}.{fc}" for i in (0, 1) for n, fc in layers}
    consensus.load_state_dict(recorded(reference_dir / "trn_multi_t3_keys.json", names))
    case = np.load(reference_dir / "trn_multi_t3.npz")
    with torch.no_grad():
        logits = consensus(torch.from_numpy(case["x"]))
    np.testing.assert_allclose(logits, case["out"], atol=1e-5, rtol=0)


@pytest.mark.reference
def test_the_published_single_relation(reference_dir):
    consensus = RelationConsensus(32, 11, num_segments=8, scales=(8,), hidden=512)
    state = recorded(
        reference_dir / "trn_single_t8_keys.json",
        {"classifier.1": "relations.0.fc1", "classifier.3": "relations.0.fc2"},
    )
    consensus.load_state_dict(state)
    x = torch.randn(2, 8, 32)
    w1, b1, w2, b2 = (value.float() for value in state.values())
    wanted = (x.flatten(1).relu() @ w1.T + b1).relu() @ w2.T + b2
    torch.testing.assert_close(consensus(x), wanted, atol=1e-5, rtol=1e-5)


def test_all_relations_are_added_up():
    consensus = RelationConsensus(3, 2, num_segments=4, scales=(4, 2), hidden=5)
    x = torch.randn(2, 4, 3)
    of_all, of_pairs = consensus.relations
    wanted = of_all(x.flatten(1)[:, None])[:, 0]
    for i, j in spread_tuples(4, 2):
        wanted = wanted + of_pairs(torch.cat([x[:, i], x[:, j]], 1)[:, None])[:, 0]
    torch.testing.assert_close(consensus(x), wanted)


@pytest.mark.parametrize(
    ("num_segments", "scale", "expected"),
    [
        (3, 3, [(0, 1, 2)]),
        (3, 2, [(0, 1), (0, 2), (1, 2)]),
        (4, 2, [(0, 2), (1, 2), (2, 3)]),
        (8, 2, [(0, 5), (2, 4), (4, 6)]),
        (8, 7, [(0, 1, 2, 3, 4, 5, 7), (0, 1, 2, 4, 5, 6, 7), (0, 2, 3, 4, 5, 6, 7)]),
    ],
)
def test_the_chosen_tuples(num_segments, scale, expected):
    assert spread_tuples(num_segments, scale) == expected


@pytest.mark.parametrize(("num_segments", "scale"), [(5, 2), (8, 4), (16, 8)])
def test_the_chosen_tuples_lie_in_the_middle_of_three_equal_parts(num_segments, scale):
    every = list(itertools.combinations(range(num_segments), scale))
    ranks = [every.index(chosen) / len(every) for chosen in spread_tuples(num_segments, scale)]
    assert ranks == pytest.approx([1 / 6, 3 / 6, 5 / 6], abs=1 / len(every))


def test_many_frames_need_no_list_of_all_tuples():
    assert math.comb(40, 20) > 1e11
    assert [len(chosen) for chosen in spread_tuples(40, 20)] == [20] * 3


@pytest.mark.parametrize(("num_segments", "scale", "number"), [(8, 8, 1), (2, 1, 2), (3, 2, 3), (5, 3, 3)])
def test_drawn_tuples_differ_and_are_in_order(num_segments, scale, number):
    for _ in range(20):
        tuples = draw_tuples(num_segments, scale, torch.device("cpu")).tolist()
        assert len({tuple(chosen) for chosen in tuples}) == number == len(tuples)
        assert all(chosen == sorted(set(chosen)) and len(chosen) == scale for chosen in tuples)
        assert all(0 <= frame < num_segments for chosen in tuples for frame in chosen)


def test_every_tuple_is_drawn_equally_often():
    draws = 2000
    counts = dict.fromkeys(itertools.combinations(range(5), 2), 0)
    for _ in range(draws):
        for i, j in draw_tuples(5, 2, torch.device("cpu")).tolist():
            counts[i, j] += 1
    # Each of 10 with probability 3 / 10: 600 times, with a standard deviation of 20.
    assert all(500 < count < 700 for count in counts.values())


def test_random_tuples_act_in_training_only_and_follow_the_seed():
    x = torch.randn(2, 8, 6)
    fixed = RelationConsensus(6, 5, num_segments=8, scales=(8, 4, 2))
    drawn = RelationConsensus(6, 5, num_segments=8, scales=(8, 4, 2), random_tuples=True)
    drawn.load_state_dict(fixed.state_dict())
    assert torch.equal(fixed(x), fixed(x))
    assert torch.equal(drawn.eval()(x), fixed(x))
    drawn.train()
    torch.manual_seed(3)
    first, second = drawn(x), drawn(x)
    torch.manual_seed(3)
    assert torch.equal(drawn(x), first)
    assert not torch.allclose(first, second)


def test_the_order_of_frames_matters():
    x = torch.randn(2, 4, 6)
    consensus = RelationConsensus(6, 5, num_segments=4, scales=(4, 3, 2))
    assert (consensus(x) - consensus(x.flip(1))).abs().max() > 0.01


def test_under_autocast():
    consensus = RelationConsensus(6, 5, num_segments=8, scales=(8, 4, 2))
    x = torch.randn(2, 8, 6)
    with torch.autocast("cpu", torch.bfloat16):
        out = consensus(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), consensus(x), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_segments": 1, "scales": ()}, "num_segments=1: a relation needs at least 2 frames"),
        (
            {"num_segments": 4, "scales": ()},
            r"scales=\(\) must be numbers of frames from 2 to num_segments=4",
        ),
        ({"num_segments": 4, "scales": (5, 2)}, r"scales=\(5, 2\) must be"),
        ({"num_segments": 4, "scales": (4, 1)}, r"scales=\(4, 1\) must be"),
        ({"num_segments": 17, "scales": (2,), "random_tuples": True}, r"2\^17 sets .* at most 16"),
    ],
)
def test_what_cannot_be_related_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        RelationConsensus(6, 5, **arguments)


def test_another_number_of_frames_is_named():
    consensus = RelationConsensus(6, 5, num_segments=4, scales=(4,))
    with pytest.raises(ValueError, match=r"6 frames, but these are relations of num_segments=4"):
        consensus(torch.zeros(2, 6, 6))


def test_print_shows_the_numbers():
    shown = str(RelationConsensus(6, 5, num_segments=4, scales=(4, 2)))
    assert "num_segments=4, scales=(4, 2), random_tuples=False" in shown


COMPILE_AND_EXPORT = """
import torch
from torch import nn
from interlace.temporal import NonLocalBlock, NonLocalFrames, RelationConsensus, TemporalPool

x = torch.randn(2, 8, 16)
consensus = RelationConsensus(16, 5, num_segments=8, scales=(8, 7, 2), random_tuples=True)
compiled = torch.compile(consensus, fullgraph=True, backend="eager")
for training in (True, False):
    consensus.train(training)
    torch.manual_seed(1)
    got = compiled(x)
    torch.manual_seed(1)
    torch.testing.assert_close(got, consensus(x))
torch.testing.assert_close(torch.export.export(consensus, (x,)).module()(x), consensus(x))

frames = torch.randn(8, 6, 5, 7)
parts = [NonLocalFrames(6, 4, similarity=name) for name in ("embedded_gaussian", "concatenation")]
for part in (*parts, TemporalPool(4)):
    if isinstance(part, NonLocalBlock):
        nn.init.ones_(part.norm.weight)
    part.eval()
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(part, fullgraph=True, backend="eager")(frames), part(frames))
torch.testing.assert_close(torch.export.export(parts[0], (frames,)).module()(frames), parts[0](frames))
"""


def test_the_parts_compile_as_one_graph_and_can_be_exported():
    """In a process of its own: the shape check of the test run cannot be traced."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILE_AND_EXPORT], check=True, env=environment)


@pytest.mark.parametrize("widths", [{"num_features": 0}, {"hidden": 0}])
def test_relations_of_nothing(widths):
    with pytest.raises(ValueError, match="must be at least 1"):
        RelationConsensus(
            **{"num_features": 8, "num_classes": 3, "num_segments": 4, "scales": (2,), **widths}
        )
