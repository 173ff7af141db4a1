from __future__ import annotations

from pathlib import Path

import pytest

from interlace.comparison import OwnAccuracy, entries, read_own
from interlace.comparison.published import FROM_THE_SLIDES, TABLE_1


def test_by_default_the_tables_and_each_other_method_once() -> None:
    found = entries()
    assert [entry.published for entry in found[:19]] == [*TABLE_1, *FROM_THE_SLIDES]
    others = [entry.name for entry in found[19:]]
    assert others[-1] == "tsm_mobilenetv2_100"
    assert all(name.endswith("_resnet50") for name in others[:-1])
    assert {
        "rtcn_resnet50",
        "i3d_light_resnet50",
        "two_stream_tin_resnet50",
        "tin_nl_resnet50",
        "tin_resnet50",
    } <= set(others)
    assert not {"tin_released_resnet50", "tsn_resnet50", "tin_en_resnet50"} & set(others)


def test_patterns_and_names() -> None:
    assert [(entry.name, entry.num_segments) for entry in entries(["tsm_resnet50", "tsm_resnet26t"])] == [
        ("tsm_resnet50", 8),
        ("tsm_resnet50", 16),
        ("tsm_resnet26t", None),
    ]
    names = [entry.name for entry in entries(["eco_*", "eco_bn*"])]
    assert names.count("eco_lite_resnet18") == 1
    assert names[:3] == ["eco_bninception", "eco_bninception", "eco_enlite_bninception"]
    with pytest.raises(ValueError, match=r"no network matches 'nothing\*'"):
        entries(["nothing*"])


def test_own_accuracies_find_their_row_or_make_one() -> None:
    own = [
        OwnAccuracy("tin_released_resnet50", 50.0, 16),
        OwnAccuracy("tin_released_resnet50", 40.0, 4),
        OwnAccuracy("tsm_en_resnet50", 60.0),
    ]
    found = entries(["tin_released_resnet50", "tsm_en_resnet50"], own)
    assert [(entry.name, entry.num_segments, entry.own and entry.own.top1) for entry in found] == [
        ("tsm_en_resnet50", None, 60.0),
        ("tin_released_resnet50", 8, None),
        ("tin_released_resnet50", 16, 50.0),
        ("tin_released_resnet50", 4, 40.0),
    ]


def test_a_file_of_own_accuracies(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text(
        "\ufeffname, top1, num_segments, protocol\ntin_resnet50, 81.5, 16, full-res\ntsn_resnet18,0,,\n"
    )
    assert read_own(file) == [
        OwnAccuracy("tin_resnet50", 81.5, 16, "full-res"),
        OwnAccuracy("tsn_resnet18", 0.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line is ''"),
        ("name,accuracy\na,1\n", "its first line is 'name,accuracy'; give the columns name and top1"),
        ("name,top1,epoch\na,1,2\n", "name and top1"),
        ("name,top1\n", "no line below its header"),
        ("name,top1\na,x\n", "line 2: top1 'x' is not a percentage"),
        ("name,top1\na,101\n", "top1 '101' is not a percentage"),
        ("name,top1\na,nan\n", "top1 'nan' is not a percentage"),
        ("name,top1\na,1,2\n", "line 2: has another number of cells"),
        ("name,top1\na\n", "line 2: has another number of cells"),
        ("name,top1\n,5\n", "line 2: has no name"),
        ("name,top1,num_segments\na,5,0\n", "num_segments '0' is not a number of frames"),
        ("name,top1,num_segments\na,5,eight\n", "num_segments 'eight' is not a number of frames"),
        ("name,top1\na,5\na,6\n", "a stands there twice"),
        ("name,top1\ntsn_resnet18,5\ntsn_nothing,6\n", "there is no network 'tsn_nothing'"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        read_own(file)
    assert str(file) in str(raised.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_own(tmp_path / "missing.csv")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(ValueError, match="is no CSV text in UTF-8"):
        read_own(tmp_path / "picture.png")
