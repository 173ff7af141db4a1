from __future__ import annotations

import json
import re

import pytest
import torch

from interlace.audiovisual import Timeline, TimelineSet
from interlace.audiovisual.timelines.timeline_file import save_timelines
from interlace.cli.av import run

LABELS = ("bark", "horn")


def made(count: int, seed: int) -> TimelineSet:
    """Timelines whose event is heard and seen in two of four segments."""
    chance = torch.Generator().manual_seed(seed)
    timelines = []
    for number in range(count):
        relevant = (
            torch.arange(4).roll(number % 3) < 2 if number % 3 != 2 else torch.tensor([0, 0, 1, 1]).bool()
        )
        audio, visual = torch.randn(4, 7, generator=chance), torch.randn(4, 11, generator=chance)
        timelines.append(
            Timeline(
                f"{seed}-{number}",
                audio + 3 * relevant[:, None] * (1 + number % 2),
                (visual - 3 * relevant[:, None])[:, None],
                number % 2,
                relevant,
            )
        )
    return TimelineSet(LABELS, tuple(timelines), f"made {seed}")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, count) in enumerate((("train", 24), ("val", 9), ("test", 8))):
        save_timelines(folder / f"{split}.safetensors", made(count, seed))
    return folder


def test_what_is_wrong_is_said_in_options_before_any_work(data, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for words, message in (
        (["--epochs", "0"], "--epochs=0 must be at least 1"),
        (["--output", str(file)], f"--output {file} is a file; give a folder"),
        (["--output", str(file / "runs")], f"--output {file / 'runs'} cannot be made: {file} is a file"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            run(["train", str(data), *words])


def test_a_single_list_is_evaluated_on_what_it_holds_out(tmp_path, capsys):
    from interlace.audiovisual.features.extractor import Features, create_extractor, save_extractor
    from interlace.audiovisual.features.feature_file import write_features

    spec = {"audio": {"name": "log_mel"}, "visual": {"name": "test_resnet", "image_size": 32}}
    extractor, features = create_extractor(spec), tmp_path / "features"
    save_extractor(features / "extractor.safetensors", extractor)
    rows = Features(torch.rand(4, 256), torch.rand(4, 1, 512), torch.ones(4).bool(), (), 4.0)
    lines = ["path,event,start,end"]
    for number in range(8):
        place = features / f"{number}.mp4.safetensors"
        write_features(place, rows, extractor=extractor.fingerprint(), source={"bytes": 7})
        lines.append(f"{number}.mp4,{LABELS[number % 2]},1,3")
    listed = tmp_path / "events.csv"
    listed.write_text("\n".join(lines))
    words = [str(listed), "--features", str(features), "--val_share", "0.25"]
    assert run(["train", *words, "--method", "chance", "--output", str(tmp_path / "runs"), "--no-embed"]) == 0
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("evaluate: "))
    assert told.endswith(f"{listed} --features {features} --split val --val_share 0.25")
    assert run(told.split()[3:]) == 0


def test_train_and_evaluate(data, tmp_path, capsys):
    output = tmp_path / "runs"
    words = [
        "--method",
        "dam,chance",
        "--seeds",
        "2",
        "--epochs",
        "2",
        "--device",
        "cpu",
        "--output",
        str(output),
    ]
    assert run(["train", str(data), *words]) == 0
    said = capsys.readouterr().out
    assert "train: 24 timelines, 2 events" in said
    assert "dam, seed 1 (3 of 3): accuracy " in said
    assert f"interlace av evaluate {output} {data} --split test" in said
    numbers = json.loads((output / "results.json").read_text())
    assert list(numbers["results"]) == ["validation"]  # the test split was not opened
    assert numbers["results"]["validation"]["dam"]["by_seed"].keys() == {"0", "1"}

    assert run(["evaluate", str(output / "dam"), str(data), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    written = json.loads((output / "dam" / "evaluation_test" / "results.json").read_text())
    row = written["results"]["test"]["dam"]
    assert f"| dam | {row['mean']['accuracy']:.2f} +- {row['spread']['accuracy']:.2f} |" in said
    assert written["data"].endswith("(8 timelines)")


def test_cross_modality_and_the_test_split_when_asked(data, tmp_path, capsys):
    output = tmp_path / "runs"
    words = [
        "--task",
        "cml",
        "--method",
        "cca",
        "chance",
        "--test",
        "--device",
        "cpu",
        "--output",
        str(output),
    ]
    assert run(["train", str(data), *words]) == 0
    results = json.loads((output / "results.json").read_text())["results"]
    chance = results["test"]["chance"]["mean"]
    assert chance == pytest.approx(
        {"mean": 100 / 3, "a2v": 100 / 3, "v2a": 100 / 3}
    )  # 2 of 4 segments: 3 starts
    assert results["test"]["cca"]["by_seed"].keys() == {"0"}


def test_a_diverged_run_is_told_and_the_status_is_1(data, tmp_path, capsys):
    words = ["--lr", "1e30", "--epochs", "1", "--device", "cpu", "--output", str(tmp_path / "runs")]
    assert run(["train", str(data), *words]) == 1
    told = capsys.readouterr()
    assert "a smaller lr" in told.out
    assert "evaluate:" not in told.out
    assert "1 of 1 runs went wrong" in told.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "DATA", "--seeds", "0"], "--seeds 0"),
        (["train", "DATA", "--method", "psp"], "sel has no method 'psp'"),
        (
            ["train", "DATA", "--method", "dam", "--network.depth", "3"],
            "EventLocalizer cannot be built with depth=3; it takes ",
        ),
        (["train", "DATA", "--network.wdth", "3"], "with wdth=3 (did you mean 'width'?); it takes "),
        (["train", "nowhere"], "nowhere: there is no such folder"),
        (["evaluate", "DATA"], "name the checkpoints and, last, the data"),
        (["evaluate", "none.safetensors", "DATA"], "none.safetensors: there is no such file"),
        (["evaluate", "DATA/train.safetensors", "DATA"], "not a network of audio-visual events"),
        (["evaluate", "x", "DATA", "--batch_size", "0"], "--batch_size 0"),
    ],
)
def test_what_cannot_work_is_an_error_that_says_so(data, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        run([word.replace("DATA", str(data)) for word in words])
    assert message in str(caught.value)


def test_data_behind_the_methods_is_told_where_it_belongs(data, capsys):
    with pytest.raises(SystemExit):
        run(["train", "--method", "dam", "concat", str(data)])
    assert (
        "required: data; --method takes all words behind it, so data comes before it"
        in capsys.readouterr().err
    )


def test_the_overview_and_a_wrong_verb(capsys):
    assert run([]) == 0
    assert "usage: interlace av COMMAND" in capsys.readouterr().out
    assert run(["trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_help_explains_every_option(verb, capsys):
    with pytest.raises(SystemExit) as left:
        run([verb, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "--features" in said
    assert "--device" in said
