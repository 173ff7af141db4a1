"""`interlace compare` and `interlace models` as a person meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlace.cli import main
from interlace.cli.compare import run
from interlace.comparison import Row

SMALL = ["--image-size", "32", "--rounds", "1", "--device", "cpu"]


def test_counts_times_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["tsn_resnet50", "trn_resnet18"]
    assert run([*names, *SMALL, "--batch_size", "2", "--precision", "bf16", "--output", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    for word in ("tsn_resnet50", "~24.3", "trn_resnet18", "not measured here", "400 classes", "written:"):
        assert word in " ".join(out.split())  # lines are wrapped
    assert "measuring trn_resnet18, 8 frames (2 of 2)" in err
    facts = json.loads((tmp_path / "compare.json").read_text())
    assert facts["complete"] is True
    assert (facts["settings"]["dtype"], facts["settings"]["batch_size"]) == ("bfloat16", 2)
    tsn, trn = facts["rows"]
    assert (tsn["parameters_m_published"], tsn["gmac_published"]) == ("24.3", None)  # 32 x 32 is not theirs
    assert tsn["ms_per_clip"] > 0
    assert trn["clips_per_second"] == pytest.approx(1000 / trn["ms_per_clip"], rel=0.01)


def test_own_accuracies_are_drawn_beside_theirs(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("name,top1,protocol\ntsn_resnet18,61.5,1clip-center\n")
    files = ["--accuracy", str(own), "--output", str(tmp_path / "o")]
    assert run(["tin_released_resnet50", "--no-latency", *files]) == 0
    found = json.loads((tmp_path / "o" / "compare.json").read_text())["rows"]
    assert [(row["name"], row["top1_tin_paper"], row["top1_own"]) for row in found] == [
        ("tin_released_resnet50", 45.8, None),
        ("tin_released_resnet50", 47.0, None),
        ("tsn_resnet18", None, 61.5),
    ]
    assert all(row["ms_per_clip"] is None for row in found)
    assert (tmp_path / "o" / "compare.png").exists()


def test_what_is_there_is_kept_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(found: tuple[Row, ...], *_: Any) -> Iterator[Row]:
        yield found[0]
        raise KeyboardInterrupt

    monkeypatch.setattr("interlace.comparison.timed", stopped)
    assert run(["tsn_resnet18", "tsm_resnet18", *SMALL, "--output", str(tmp_path)]) == 130
    assert "stopped by Ctrl-C" in capsys.readouterr().err
    facts = json.loads((tmp_path / "compare.json").read_text())
    assert (facts["complete"], len(facts["rows"])) == (False, 2)
    assert "Stopped before all networks were measured" in (tmp_path / "compare.md").read_text()


def test_the_counts_go_between_the_markers_of_a_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- costs:begin -->\n<!-- costs:end -->\nb\n")
    arguments = ["tsm_mobilenetv2_100", "--no_latency", "--write", str(page), "--output", str(tmp_path / "o")]
    assert run(arguments) == 0
    assert "| `tsm_mobilenetv2_100` | 8 | 2.45 |  |  | 2.40 |  |  |" in page.read_text()
    page.write_text("no markers")
    with pytest.raises(ValueError, match=r"page\.md needs the lines"):
        run(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tin_resnet5"], "there is no network 'tin_resnet5'"),
        (["nothing*"], r"no network matches 'nothing\*'"),
        (["--rounds", "0"], "--rounds 0 must be at least 1"),
        (["--image_size", "-1"], "--image_size -1 must be at least 1"),
        (["--num_classes", "0"], "--num_classes 0 must be at least 1"),
        (["--accuracy", "missing.csv"], "missing.csv: cannot be read"),
        (["--device", "tpu"], "device 'tpu' cannot be used"),
    ],
)
def test_errors_say_what_to_change(arguments: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        run([*arguments, "--no_latency", "--output", str(tmp_path)])


def test_models_are_grouped_by_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "t[sirc]n_resnet50", "--parameters"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tsn: each frame by itself, and the mean of what is said of them (TSN)"
    assert lines[1].split() == ["tsn_resnet50", "24.33", "M"]
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert names == ["tsn_resnet50", "tin_resnet50", "trn_resnet50", "tcn_resnet50"]


def test_names_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    from interlace import list_models

    assert main(["models", "--names"]) == 0
    assert sorted(capsys.readouterr().out.split()) == list_models()
    assert main(["models", "nothing*"]) == 1


def test_every_method_says_what_it_is() -> None:
    from interlace.models.ensembles import ENSEMBLES
    from interlace.models.methods import METHODS

    assert [name for name, method in METHODS.items() if len(method.sentence) < 20] == []
    assert [name for name, method in ENSEMBLES.items() if len(method.sentence) < 20] == []


def test_networks_without_figures_of_the_papers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tsn_resnet18", "--no-latency", "--image-size", "32", "--output", str(tmp_path)]) == 0
    assert "no picture: no accuracy of these networks is known" in capsys.readouterr().out
    assert not (tmp_path / "compare.png").exists()
    text = (tmp_path / "compare.md").read_text()
    assert "The papers state no costs of these networks" in text
    assert "within 1 % of the paper's" not in text
    assert "## Accuracy on Something-Something V1, by others\n\nNone is known" in text


def test_what_cannot_work_is_said_before_anything_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    own = tmp_path / "own.csv"
    own.write_text("name,top1\ntsn_resnet18,50\ntsn_resnet19,40\n")
    for arguments, message in (
        (["tsn_resnet18", "--output", str(tmp_path / "file")], "file is a file; give a folder"),
        (["tsn_resnet18", "tsm_nothing"], "there is no network 'tsm_nothing'"),
        (["tsn_resnet18", "--accuracy", str(own)], "own.csv: there is no network 'tsn_resnet19'"),
    ):
        assert main(["compare", *arguments]) == 1
        said = capsys.readouterr()
        assert message in said.err
        assert "counting" not in said.err
