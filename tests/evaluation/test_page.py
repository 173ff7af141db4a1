from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from interlace.evaluation.page import report_page
from interlace.plots import confusion_matrix
from interlace.types import EvalReport

VOID = {"meta", "br", "img"}


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _report() -> EvalReport:
    details = {
        "average": "logits",
        "views": {"num_clips": 2, "crops": "full"},
        "checkpoints": [
            {"path": "runs/a.safetensors", "model": "tin_resnet18", "weight": 2.0, "sha256": "ab12"},
            {"path": "runs/b.safetensors", "model": "tsm_resnet18", "weight": 1.0, "sha256": "cd34"},
        ],
        "data": "val.csv <of the set>",
        "notes": ["There are 2 classes, so top5 is top2: always 100 %."],
        "date": "2024-05-06T07:08:09+00:00",
        "versions": {"torch": "2.11.0"},
        "command": "interlace evaluate 'my data'",
        "commit": None,
    }
    return EvalReport(
        "full-res", {"top1": 87.5, "top5": 100.0}, 8, (("x.mp4", "no frames & no key"),), None, details
    )


def test_page_is_whole_and_stands_alone(tmp_path: Path) -> None:
    picture = confusion_matrix([[3, 1], [0, 4]], ["left", "right"], tmp_path / "c.png")
    classes = [
        {"class": "left", "clips": 4, "accuracy": 75.0},
        {"class": "right", "clips": 0, "accuracy": ""},
    ]
    worst = [{"path": "a.mp4", "true": "left", "predicted": "right", "score": 0.98765, "true_score": 0.01}]
    page = report_page(_report(), classes, worst, picture)
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    for text in (
        "tin_resnet18, tsm_resnet18: full-res",
        "<b>87.50 %</b>top-1",
        "val.csv &lt;of the set&gt;",
        "8 clips scored, 1 skipped, 0 damaged. 2024-05-06 07:08:09+00:00",
        "always 100 %",
        "no frames &amp; no key",
        '<td class="n">75.00</td>',
        '<td class="n">0.9877</td>',
        "weight 2",
        "sha256 ab12",
        "torch 2.11.0",
        "interlace evaluate &#x27;my data&#x27;",
    ):
        assert text in page
    assert "commit" not in page  # there is none


def test_page_without_picture_errors_and_skips() -> None:
    page = report_page(EvalReport("1clip-center", {"mAP": 50.0}, 3), [], [], None)
    assert "Worst" not in page
    assert "Skipped" not in page
    assert "Damaged" not in page
    assert "<img" not in page
