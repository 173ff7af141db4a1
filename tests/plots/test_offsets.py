from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace.plots import OffsetSeries, OffsetTally, offset_figure, offsets, series_of
from interlace.plots.offset_tally import LayerOffsets, write_offset_table


def tally_of(
    num_layers: int = 4, num_clips: int = 5, num_segments: int = 8, num_groups: int = 2
) -> OffsetTally:
    """Mirrored groups; two layers in a stage."""
    tally = OffsetTally()
    offset = torch.randn(num_clips, num_groups)
    weight = torch.rand(num_clips, num_segments, num_groups)
    records = {}
    for i in range(num_layers):
        own, factors = offset + i, weight * i
        name = f"backbone.layer{i // 2 + 1}.{i % 2}.conv1.temporal"
        records[name] = (torch.cat([own, -own], 1), torch.cat([factors, factors], 2))
    tally.add(records)
    return tally


def layer(name: str, offset: list[float]) -> LayerOffsets:
    groups = np.array(offset)
    return LayerOffsets(name, groups, 0 * groups, np.ones((4, len(groups))), np.zeros((4, len(groups))))


def test_means_do_not_depend_on_the_batches():
    offset, weight = torch.randn(11, 3) + 1000, torch.rand(11, 4, 3)
    wanted = OffsetTally()
    wanted.add({"a": (offset, weight)})
    batches = OffsetTally()
    for first, end in itertools.pairwise((0, 1, 5, 11)):
        batches.add({"a": (offset[first:end], weight[first:end])})
    assert wanted.num_clips == batches.num_clips == 11
    one, other = wanted.layers()[0], batches.layers()[0]
    for found in (one, other):
        np.testing.assert_allclose(found.offset, offset.double().mean(0), rtol=1e-14)
        np.testing.assert_allclose(found.offset_spread, offset.double().std(0, correction=0), rtol=1e-10)
        np.testing.assert_allclose(found.weight, weight.double().mean(0), rtol=1e-14)
        np.testing.assert_allclose(found.weight_spread, weight.double().std(0, correction=0), rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("backbone.layer3.5.conv1.temporal", "layer3"),
        ("backbone.s2.b4.conv1.conv.temporal", "s2"),
        ("backbone.blocks.3.1.conv_pw.temporal", "blocks.3"),
        ("backbone.stages.0.blocks.2.conv_dw.temporal", "stages.0.blocks"),
        ("models.1.backbone.layer1.0.conv1.temporal", "models.1.backbone.layer1"),
        ("", ""),
    ],
)
def test_the_stage_of_a_layer(name, stage):
    assert layer(name, [0.0]).stage == stage


@pytest.mark.parametrize(
    ("offset", "learned"),
    [([0.5, 1.0, -0.5, -1.0], 2), ([0.5, 1.0, -0.5, -1.1], 4), ([0.5, -0.5, 0.0], 3), ([0.5, -0.5], 1)],
)
def test_groups_that_mirror_others(offset, learned):
    assert layer("a", offset).num_learned == learned


def test_offsets_are_added_up_over_depth():
    series = OffsetSeries("tin", [layer("a", [0.5, -1.0]), layer("b", [1.0, -1.0]), layer("c", [0.25, 0.0])])
    assert series.cumulative().tolist() == [[0.5, -1.0], [1.5, -2.0], [1.75, -2.0]]
    assert series.to_dict()["layers"][1]["cumulative_offset"] == [1.5, -2.0]


def test_an_ensemble_has_a_series_for_each_number_of_frames():
    tally = OffsetTally()
    tally.add({f"m{t}.{i}": (torch.zeros(2, 4), torch.ones(2, t, 4)) for t in (8, 16) for i in range(3)})
    series = series_of(tally, "tin_en")
    assert [(one.title, len(one.layers)) for one in series] == [
        ("tin_en, 8 frames", 3),
        ("tin_en, 16 frames", 3),
    ]


def test_the_table_holds_every_number(tmp_path):
    series = series_of(tally_of(num_layers=3, num_segments=4), "tin")
    with write_offset_table(series, tmp_path / "offsets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4 * (1 + 1 + 4)
    third = [row for row in rows if row["depth"] == "3" and row["group"] == "2"]
    wanted = series[0].layers[2]
    assert {row["stage"] for row in third} == {"layer2"}
    assert float(third[0]["mean"]) == wanted.offset[1]
    assert float(third[0]["spread"]) == wanted.offset_spread[1]
    assert float(third[1]["mean"]) == sum(one.offset[1] for one in series[0].layers)
    assert [row["frame"] for row in third[2:]] == ["1", "2", "3", "4"]
    assert [float(row["mean"]) for row in third[2:]] == wanted.weight[:, 1].tolist()


@pytest.fixture
def drawn(monkeypatch):
    """Figures instead of files."""
    figures: list = []
    monkeypatch.setattr(offsets, "_save", lambda figure, path: figures.append(figure) or path)
    return figures


def test_the_lines_of_the_figure(drawn):
    series = series_of(tally_of(), "tin_resnet18")
    offset_figure(series, Path("never.png"))
    cumulative, layers, weights = drawn[0].axes
    lines = [line for line in cumulative.get_lines() if line.get_label().startswith("group")]
    assert [line.get_label() for line in lines] == [
        "group 1",
        "group 2",
        "group 1, mirrored",
        "group 2, mirrored",
    ]
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--", "--"]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        line.get_label() for line in lines
    ]
    np.testing.assert_array_equal(np.stack([line.get_ydata() for line in lines], 1), series[0].cumulative())
    lines = [line for line in layers.get_lines() if line.get_label().startswith("group")]
    np.testing.assert_array_equal(lines[1].get_ydata(), [one.offset[1] for one in series[0].layers])
    assert len(layers.collections) == 4  # the spread of each group
    thick = [line for line in weights.get_lines() if line.get_linewidth() == 2]
    mean = np.mean([one.weight for one in series[0].layers], axis=0)
    np.testing.assert_allclose([line.get_ydata() for line in thick], mean[:, :2].T)
    pale = [line for line in weights.get_lines() if line.get_alpha() == 0.35]
    assert len(pale) == 2 * 2  # groups x stages
    np.testing.assert_allclose(
        pale[0].get_ydata(), np.mean([one.weight[:, 0] for one in series[0].layers[:2]], axis=0)
    )


def test_networks_side_by_side_share_their_scales(drawn):
    series = [
        *series_of(tally_of(num_layers=16), "tin_resnet50"),
        *series_of(tally_of(num_layers=16, num_segments=16), "tin_resnet50"),
    ]
    offset_figure(series, Path("never.png"), title="clips")
    axes = drawn[0].axes
    assert [panel.get_title(loc="left").split("(")[1][0] for panel in axes] == list("abcdef")
    assert [axes[i].get_title(loc="left").splitlines()[0] for i in (0, 1)] == [
        "tin_resnet50, 8 frames",
        "tin_resnet50, 16 frames",
    ]
    for left, right in ((0, 1), (2, 3), (4, 5)):
        assert axes[left].get_ylim() == axes[right].get_ylim()
    drawn[0].canvas.draw()
    for panel in axes:
        boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))
    titles = [panel.get_tightbbox() for panel in axes[:2]]
    assert titles[0].x1 < titles[1].x0


def test_one_layer_and_one_group_can_be_drawn(tmp_path):
    tally = OffsetTally()
    tally.add({"conv": (torch.zeros(1, 1), torch.ones(1, 1, 1))})
    path = offset_figure(series_of(tally, "tin"), tmp_path / "new" / "offsets.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no network has a TIN module"):
        offset_figure([], tmp_path / "offsets.png")
