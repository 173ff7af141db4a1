from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from interlace.export import ClipGraph, ExportError, StreamGraph, write_torch_export
from interlace.models import VideoModel

SIZE = (32, 40)
TEXTS = {
    "interlace": '{"labels": ["Ängel", "\\"quoted\\" <tag> & more"]}',
    "interlace_graph": '{"format": 1}',
}


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_file_computes_the_same_for_any_batch(
    batch: int, tmp_path: Path, small_network: Callable[..., VideoModel]
) -> None:
    model = small_network("tsm_resnet18")
    graph = ClipGraph(model)
    path = write_torch_export(graph, graph.example(SIZE), tmp_path / "new" / "model.pt2", metadata=TEXTS)
    texts = dict.fromkeys(TEXTS, "")
    program = torch.export.load(path, extra_files=texts).module()
    (clip,) = graph.example(SIZE, batch=batch)
    torch.testing.assert_close(program(clip), model(clip), atol=1e-4, rtol=0)
    assert texts == TEXTS
    assert [file.name for file in path.parent.iterdir()] == ["model.pt2"]


def test_the_file_knows_no_paths_of_this_machine(
    tmp_path: Path, small_network: Callable[..., VideoModel]
) -> None:
    graph = StreamGraph(small_network("tsm_causal_resnet18"))
    path = write_torch_export(graph, graph.example(SIZE), tmp_path / "model.pt2", metadata={})
    with zipfile.ZipFile(path) as file:
        texts = [file.read(name) for name in file.namelist() if name.endswith((".json", "version"))]
    assert texts
    assert not any(str(Path(__file__).parents[2]).encode() in text for text in texts)
    assert not any(b"stack_trace" in text for text in texts)


def test_what_torch_cannot_export_leaves_the_earlier_file(
    tmp_path: Path, small_network: Callable[..., VideoModel], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = ClipGraph(small_network("tsn_resnet18"))

    class Unsteady(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum() > 0 else x  # another graph for every clip

    graph.network.dropout = Unsteady()
    (tmp_path / "model.pt2").write_text("the earlier one")
    with pytest.raises(ExportError, match="could not export tsn_resnet18"):
        write_torch_export(graph, graph.example(SIZE), tmp_path / "model.pt2", metadata={})
    assert [file.read_text() for file in tmp_path.iterdir()] == ["the earlier one"]
    assert capfd.readouterr() == ("", "")
