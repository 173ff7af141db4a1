from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from interlace.audiovisual import Batch, Timeline, collate
from interlace.audiovisual.models.localization import Localization
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.methods import CML_METHODS, SEL_METHODS, Method

A, D, P, K = 7, 11, 4, 3
LONG, SHORT = 9, 5
VARIANTS = {
    "context": Method(EventLocalizer, "gradient", ""),
    "uncrossed": Method(EventLocalizer, "gradient", ""),
    "focus": Method(EventLocalizer, "gradient", ""),
}
SEL = {**SEL_METHODS, **VARIANTS}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "context": {"context": "own"},
    "uncrossed": {"cross": False},
    "focus": {"focus": True, "hidden": 6},
}
LEARNED_SEL = [name for name, method in SEL.items() if method.fitted == "gradient"]
LEARNED_CML = [name for name, method in CML_METHODS.items() if method.fitted == "gradient"]


def video(num_segments: int, event: int, first: int, last: int) -> Timeline:
    where = (torch.arange(num_segments) >= first) & (torch.arange(num_segments) <= last)
    return Timeline("x", torch.randn(num_segments, A), torch.randn(num_segments, P, D), event, where)


def videos() -> list[Timeline]:
    return [video(SHORT, 1, 1, 2), video(LONG, 2, 4, 7)]


def double(batch: Batch) -> Batch:
    return Batch(batch.audio.double(), batch.visual.double(), batch.mask, batch.event, batch.relevant)


def build(task: str, name: str) -> nn.Module:
    method = (SEL if task == "sel" else CML_METHODS)[name]
    network = method.network(audio_features=A, visual_features=D, num_events=K, **ARGUMENTS.get(name, {}))
    if method.fitted == "closed_form":
        network.fit(videos())  # type: ignore[operator]
    return network


def answers(network: nn.Module, batch: Batch) -> list[torch.Tensor]:
    """All that the network says, one tensor a kind."""
    if hasattr(network, "localize"):
        found: Localization = network.localize(batch)  # type: ignore[operator]
        return [value for value in vars(found).values() if value is not None]
    return [
        answer
        for query in ("audio", "visual")
        for answer in (
            network.relevance(batch, query),
            network.starts(batch, query),
            network.hits(batch, network.starts(batch, query)),
        )  # type: ignore[operator]
    ]


ALL = [("sel", name) for name in SEL] + [("cml", name) for name in CML_METHODS]
LEARNED = [("sel", name) for name in LEARNED_SEL] + [("cml", name) for name in LEARNED_CML]


@pytest.mark.parametrize(("task", "name"), ALL)
def test_padding_changes_nothing(task: str, name: str) -> None:
    network, (short, long) = build(task, name).double().eval(), videos()
    alone, beside = double(collate([short])), double(collate([short, long]))
    beside.audio[0, SHORT:] = 100.0  # whatever a reader may fill up with
    beside.visual[0, SHORT:] = -100.0
    for one, two in zip(answers(network, alone), answers(network, beside), strict=True):
        cut = two[:1, :SHORT] if two.ndim == 2 and two.shape[1] == LONG else two[:1]
        torch.testing.assert_close(cut, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("task", "name"), LEARNED)
def test_padding_changes_no_loss(task: str, name: str) -> None:
    network, batch = build(task, name).double().eval(), double(collate(videos()))
    rows = vars(batch).values()
    filled = Batch(*(torch.cat([value, value[:, :2]], 1) if value.ndim > 1 else value for value in rows))
    filled.mask[:, LONG:] = False
    filled.relevant[:, LONG:] = False
    torch.testing.assert_close(network.loss(filled), network.loss(batch))  # type: ignore[operator]


@pytest.mark.parametrize(("task", "name"), LEARNED)
def test_gradients_reach_every_parameter(task: str, name: str) -> None:
    network = build(task, name)
    network.loss(collate(videos())).backward()  # type: ignore[operator]
    untouched = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert untouched == []


@pytest.mark.parametrize(("task", "name"), LEARNED)
def test_bfloat16_is_close_to_float32(task: str, name: str) -> None:
    network, batch = build(task, name).eval(), collate(videos())
    exact = network.loss(batch)  # type: ignore[operator]
    with torch.autocast("cpu", torch.bfloat16):
        loss = network.loss(batch)  # type: ignore[operator]
        said = answers(network, batch)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    assert all(bool(answer.isfinite().all()) for answer in said)
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


COMPILE = """
import torch
from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.matcher import CrossModalMatcher
torch.manual_seed(0)

videos = [Timeline("x", torch.randn(n, 7), torch.randn(n, 4, 11), 1, torch.arange(n) < 3) for n in (5, 9)]
batch = collate(videos)
for network in (EventLocalizer, CrossModalMatcher):
    built = network(audio_features=7, visual_features=11, num_events=3).eval()
    compiled = torch.compile(built.loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(batch), built.loss(batch))
    print("same")
"""


@pytest.mark.slow
def test_dam_compiles_as_one_graph() -> None:
    """In a process of its own: the shape checks of the tests cannot be traced."""
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["same", "same"], done.stderr


@pytest.mark.parametrize(("task", "name"), ALL)
def test_it_is_built_again_from_its_arguments(task: str, name: str) -> None:
    network, batch = build(task, name).eval(), collate(videos())
    arguments = json.loads(json.dumps(network.builder_args))
    again = (SEL if task == "sel" else CML_METHODS)[name].network(**arguments).eval()
    again.load_state_dict(network.state_dict())
    for one, two in zip(answers(network, batch), answers(again, batch), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", list(SEL))
def test_every_localization_keeps_its_promises(name: str) -> None:
    batch = collate([*videos(), video(6, -1, 9, 9), video(4, 0, 0, 3)])
    found: Localization = build("sel", name).eval().localize(batch)  # type: ignore[operator]
    assert found.labels.dtype == torch.int64
    assert found.labels.min() >= 0
    assert found.labels.max() <= K
    assert (found.labels[~batch.mask] == K).all()
    torch.testing.assert_close(found.event_scores.sum(1), torch.ones(4))
    assert (found.relevance[~batch.mask] == 0).all()
    assert found.relevance.min() >= 0
    assert found.relevance.max() <= 1


@pytest.mark.parametrize(("task", "name"), LEARNED)
def test_a_batch_of_background_has_a_finite_loss(task: str, name: str) -> None:
    network = build(task, name)
    loss = network.loss(collate([video(6, -1, 9, 9)]))  # type: ignore[operator]
    loss.backward()
    assert loss.isfinite()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)
