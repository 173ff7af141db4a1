"""`interlace shard`, and training and evaluation on what it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.cli import main
from interlace.data.shards.index import read_index
from interlace.data.shards.storage import open_storage

TRAINING = (
    *("--model", "tsn_resnet18", "--pretrained", "false", "--image_size", "32", "--num_segments", "2"),
    *("--epochs", "1", "--batch_size", "3", "--trainer.num_workers", "0"),
)


@pytest.fixture
def clips(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    for name, number in (("run", 4), ("walk", 3)):
        for i in range(number):
            make_video(tmp_path / "clips" / name / f"{i}.mp4", num_frames=5 + i, size=(32, 48))
    return tmp_path / "clips"


def test_shard_train_evaluate(clips, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["shard", str(clips), out, "--clips", "2", "--verify"]) == 0
    told = capsys.readouterr().out
    assert f"{out}: 5 training and 2 validation clips of 2 classes in 4 shards" in told
    assert "0 shards were there already\nverified: all 4 shards" in told
    assert main(["shard", str(clips), out, "--clips", "2"]) == 0
    assert "4 shards were there already" in capsys.readouterr().out

    assert main(["train", out, *TRAINING, "--output", str(tmp_path / "run")]) == 0
    assert f"training:   5 clips of 2 classes (shards of {out}: folder: {clips}" in capsys.readouterr().out
    model = str(tmp_path / "run" / "last.safetensors")
    scores = {}
    for data in (out, str(clips)):  # the clips are known by their names, so the same two are new
        report = str(tmp_path / "report" / Path(data).name)
        assert main(["evaluate", data, "--model", model, "--num_workers", "0", "--output", report]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("2 clips, 2 classes")
        scores[data] = lines[1]
    assert scores[out] == scores[str(clips)]


def test_what_is_refused(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["shard", str(clips), str(out)]) == 0
    capsys.readouterr()
    errors = {
        (
            "shard",
            str(out),
            str(tmp_path / "again"),
        ): "these are shards already; give the folder of the videos",
        ("shard", str(clips), str(clips)): "shards need a folder of their own",
        ("shard", str(clips), "ftp://me:secret@host/a"): "ftp://***@host/a: a password in a URL",
        ("train", "ftp://me:secret@host/a", "--output", str(tmp_path / "run")): "a password in a URL",
        ("train", str(out), *TRAINING, "--decode.cache", "ram"): "cannot be used with shards",
        ("check", str(out)): "check the files that the shards were made of",
    }
    for arguments, message in errors.items():
        assert (
            main([*arguments, *(["--output", str(tmp_path / "no")] if "--model" in arguments else [])]) == 1
        )
        error = capsys.readouterr().err
        assert message in error
        assert "secret" not in error
    assert not (tmp_path / "run").exists()


def test_damage_is_found_and_repaired(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["shard", str(clips), str(out)]) == 0
    file = out / "val-000000.tar"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"!")
    assert main(["shard", str(clips), str(out), "--verify"]) == 1
    assert f"{file}: damaged (another checksum); delete it" in capsys.readouterr().out
    file.unlink()
    assert main(["shard", str(clips), str(out), "--verify"]) == 0
    assert file.read_bytes() == whole


def test_clips_outside_of_the_data_folder_are_taken_if_that_is_allowed(clips, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere.mp4"
    (clips / "walk" / "2.mp4").rename(elsewhere)
    lists = {"train": ["run/0.mp4,run", "walk/0.mp4,walk"], "val": ["run/1.mp4,run", f"{elsewhere},walk"]}
    for split, lines in lists.items():
        (clips / f"{split}.csv").write_text("\n".join(["path,label", *lines, ""]))
    command = ["shard", str(clips), str(tmp_path / "out")]
    assert main(command) == 1
    assert "if you trust the list, allow it with --allow_outside" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--allow_outside"]) == 0
    index = read_index(open_storage(tmp_path / "out"))
    assert sorted(clip.path for shard in index.shards for clip in shard.clips) == sorted(
        ["run/0.mp4", "walk/0.mp4", "run/1.mp4", str(elsewhere)]
    )
