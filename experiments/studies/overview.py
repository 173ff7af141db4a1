"""One table over the studies: what TIN differs by from TSM, wherever both were trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studies.lines import read_lines
from studies.paired import FEWEST, paired_difference, student_interval
from studies.plan import Study
from studies.tables import Results, cells, interval, lines_of

WHERE = {
    "utd_test": "people not seen in training, depth video (UTD-MHAD), ResNet-18 from scratch; each tuned",
    "utd_16_frames": "the same with 16 frames; not tuned",
    "utd_16_frames_tuned": "with 16 frames; each as it was best with 8",
    "utd_mobilenet": "the same with 8 frames, MobileNetV2 from ImageNet weights; not tuned",
    "letters_repetitions": "letters on lips (AVLetters), talkers seen in training, ResNet-18 from scratch; not tuned",
    "letters_talkers": "the same, talkers not seen in training, twice as long; not tuned",
    "long_range_0.34": "rendered clips in which what is before a pause decides; the rate favours TIN",
}
"""What each study is in a reader's words, in the order of the table."""
HEAD = ("TSM", "TIN", "pairs", "TIN over TSM, Student's t", "TIN ahead", "TIN as in the paper over TSM")


def overview(studies: Mapping[str, Study], results: Path) -> str:
    """The table; a study without a pair has no row."""
    rows = []
    for name, where in WHERE.items():
        lines = read_lines(results / f"{studies[name].data.name}.jsonl")
        theirs, ours, paper = (_scores(studies[name], arm, lines) for arm in ("tsm", "tin", "tin_paper"))
        both = sorted(theirs.keys() & ours.keys())
        if both:
            pairs = [ours[key] - theirs[key] for key in both]
            means = (sum(scores[key] for key in both) / len(both) for scores in (theirs, ours))
            rows.append(
                cells(
                    [
                        f"{where} (`{name}`)",
                        *(f"{mean:.1f}" for mean in means),
                        f"{len(both)}{'' if len(both) == len(studies[name].jobs(arms=['tin'])) else ', more to come'}",
                        _over(ours, theirs),
                        f"{sum(pair > 0 for pair in pairs)} of {len(pairs)}",
                        _over(paper, theirs),
                    ]
                )
            )
    return "\n".join([cells(["", *HEAD]), cells(["---"] * (len(HEAD) + 1)), *rows])


def _scores(study: Study, arm: str, lines: Results) -> dict[tuple[int, str], float]:
    (found,) = (each for each in study.arms if each.name == arm)
    return {key: float(line["top1"]) for key, line in lines_of(study, found, lines).items()}


def _over(ours: Mapping[tuple[int, str], float], theirs: Mapping[tuple[int, str], float]) -> str:
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return ""
    found = paired_difference([ours[key] for key in both], [theirs[key] for key in both])
    told = f" {interval(*student_interval(found.pairs))}" if len(both) >= FEWEST else f", {len(both)} only"
    return f"{found.mean:+.1f}{told}"
