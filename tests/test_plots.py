from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace import plots
from interlace.plots import reports


def _size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


def test_importing_plots_loads_no_matplotlib() -> None:
    code = "import sys, interlace.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("num_classes", "least"), [(2, 300), (10, 700), (60, 1500), (174, 2500)])
def test_confusion_matrix_grows_with_the_classes(tmp_path: Path, num_classes: int, least: int) -> None:
    counts = torch.eye(num_classes, dtype=torch.long) * 7
    counts[0] = 0  # a class without clips
    names = [f"class number {i} with a name that goes on and on" for i in range(num_classes)]
    width, height = _size(plots.confusion_matrix(counts, names, tmp_path / "new" / "c.png", title="all"))
    assert width >= least
    assert height >= least
    assert max(width, height) < 4500


def _tick_boxes(figure: object, axis: str) -> list:
    axes = figure.axes[0]  # type: ignore[attr-defined]
    labels = axes.get_xticklabels() if axis == "x" else axes.get_yticklabels()
    return [label.get_window_extent() for label in labels]


@pytest.mark.parametrize("num_classes", [2, 3, 12, 13, 30, 31, 80, 81, 174, 200])
def test_no_labels_of_a_confusion_matrix_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_classes: int
) -> None:
    figures: list = []
    monkeypatch.setattr(reports, "_save", lambda figure, path: figures.append(figure) or path)
    names = [f"pushing thing {i} from left to right, so that it falls" for i in range(num_classes)]
    plots.confusion_matrix(np.eye(num_classes, dtype=int), names, tmp_path / "c.png")
    figure = figures[0]
    figure.canvas.draw()
    across = _tick_boxes(figure, "x")
    down = _tick_boxes(figure, "y")
    assert len(across) == len(down) == num_classes
    assert all(left.x1 <= right.x0 + 0.5 for left, right in itertools.pairwise(across))
    assert all(upper.y0 >= lower.y1 - 0.5 for upper, lower in itertools.pairwise(down))
    assert min(box.x0 for box in down) > 0
    assert min(box.y0 for box in across) > 0
    title_low = figure.texts[0].get_window_extent().y0
    assert title_low > figure.axes[0].get_window_extent().y1
    assert figure.axes[1].get_tightbbox().x1 <= figure.bbox.x1
    assert figure.axes[0].xaxis.label.get_window_extent().y0 >= 0
    assert figure.axes[0].yaxis.label.get_window_extent().x0 >= 0


def test_cells_show_counts_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list = []
    monkeypatch.setattr(reports, "_save", lambda figure, path: figures.append(figure) or path)
    plots.confusion_matrix([[3, 1], [0, 4]], ["left", "right"], tmp_path / "c.png")
    texts = {text.get_position(): text.get_text() for text in figures[0].axes[0].texts}
    assert texts == {(0, 0): "3\n75%", (1, 0): "1\n25%", (1, 1): "4\n100%"}
    np.testing.assert_allclose(figures[0].axes[0].images[0].get_array(), [[0.75, 0.25], [0, 1]])


def test_confusion_matrix_of_the_wrong_shape(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) does not belong to 3 classes"):
        plots.confusion_matrix([[1, 0], [0, 1]], ["a", "b", "c"], tmp_path / "c.png")


def test_read_curves_skips_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,loss,top1,note\n0,5,1.5,,x\n0,9,,40,nan\n1,14,0.75,,\n")
    assert plots.read_curves(path) == {"loss": [(0.0, 1.5), (1.0, 0.75)], "top1": [(0.0, 40.0)]}
    path.write_text("step,loss\n5,1.5\n")
    assert plots.read_curves(path) == {"loss": [(5.0, 1.5)]}
    path.write_text("loss\n1.5\n")
    with pytest.raises(ValueError, match="no epoch or step column"):
        plots.read_curves(path)


def test_training_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, end in (("tsn", 40), ("tin", 90)):
        (tmp_path / f"{name}.csv").write_text(f"epoch,loss,top1\n0,1.6,20\n1,1.1,{end}\n")
    runs = {"TSN": tmp_path / "tsn.csv", "TIN": tmp_path / "tin.csv"}
    assert _size(plots.training_curves(runs, tmp_path / "curves.png", title="two runs"))[0] > 800
    figures: list = []
    monkeypatch.setattr(reports, "_save", lambda figure, path: figures.append(figure) or path)
    plots.training_curves(runs, tmp_path / "curves.png", columns=["top1"])
    (axes,) = figures[0].axes
    assert [(line.get_label(), list(line.get_ydata())) for line in axes.lines] == [
        ("TSN", [20.0, 40.0]),
        ("TIN", [20.0, 90.0]),
    ]
    with pytest.raises(ValueError, match="no column to draw"):
        plots.training_curves(runs, tmp_path / "curves.png", columns=["mAP"])


def test_accuracy_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _size(
        plots.accuracy_bars(["TSN", "TIN"], [48.0, 96.5], tmp_path / "bars.png", title="accuracy", chance=50)
    )
    figures: list = []
    monkeypatch.setattr(reports, "_save", lambda figure, path: figures.append(figure) or path)
    plots.accuracy_bars(["TSN", "TIN"], [48.0, 96.5], tmp_path / "bars.png")
    assert [bar.get_width() for bar in figures[0].axes[0].patches] == [48.0, 96.5]
    assert [text.get_text() for text in figures[0].axes[0].texts] == ["48.0", "96.5"]
    with pytest.raises(ValueError, match="1 labels do not belong to 2 values"):
        plots.accuracy_bars(["TSN"], [1.0, 2.0], tmp_path / "bars.png")


@pytest.mark.parametrize(
    ("name", "length", "expected"),
    [
        ("short", 16, "short"),
        ("exactly sixteen!", 16, "exactly sixteen!"),
        ("pushing something from left to right", 20, "pushing … to right"),
        ("onelongwordwithoutanyspaces", 11, "onel … aces"),
    ],
)
def test_shorten(name: str, length: int, expected: str) -> None:
    assert plots.shorten(name, length) == expected
    assert len(plots.shorten(name, length)) <= length
