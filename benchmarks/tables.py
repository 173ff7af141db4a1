"""The tables of the newest results: every target met or not, times, and all cases.

    python benchmarks/tables.py                      # print them
    python benchmarks/tables.py --write README.md    # and put targets and times between its two markers

Of every case the newest measurement counts. Nothing is measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import timing
from interlace.files import whole_file
from network import BESIDE_I3D, PUBLISHED, TARGETS

FILES = ("interlace_op", "forms", "network", "memory", "scaling", "pipeline", "streaming")
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
EAGER, TRAINING, FLOAT32, BFLOAT16 = (str(case) for case in TARGETS)
MEMORY = "resnet50, 8 frames, batch 1, training step"
STAGES = [f"stage {stage}, batch 1, float32, contiguous" for stage in (1, 2, 3, 4)]
Results = Mapping[str, Mapping[str, Any]]
"""Case to its rows, and under "commit", "machine" and "threads" where they come from."""


@dataclass(frozen=True)
class Target:
    """A number that is to be reached, and where it stands in the results; the worst of its cases counts."""

    what: str
    limit: float
    file: str
    cases: Sequence[str]
    row: str
    column: str = "ratio"
    sense: Literal["<=", ">="] = "<="
    published: str | None = None
    """The row of the published arithmetic in the same cases."""

    def values(self, results: Mapping[str, Results], row: str | None = None) -> list[float]:
        """The number in each of the cases; empty if one of them has not been measured."""
        found = [
            results.get(self.file, {}).get(case, {}).get("rows", {}).get(row or self.row, {}).get(self.column)
            for case in self.cases
        ]
        return [] if None in found else [float(value) for value in found]

    def worst(self, values: Sequence[float]) -> float:
        return max(values) if self.sense == "<=" else min(values)

    def verdict(self, results: Mapping[str, Results]) -> str:
        """Met, not met, or not measured."""
        values = self.values(results)
        if not values:
            return "not measured"
        worst = self.worst(values)
        return "met" if (worst <= self.limit if self.sense == "<=" else worst >= self.limit) else "not met"


def operator(
    what: str, limit: float, step: str, row: str, published: str | None = "published interlace"
) -> Target:
    """A ratio to clones, in the float32 tensors of all four stages."""
    return Target(
        what, limit, "interlace_op", [f"{stage}, {step}" for stage in STAGES], row, published=published
    )


def bandwidth(what: str, limit: float, step: str) -> Target:
    """The share of the measured copy's bytes a second on a GPU, with 8 clips, in the first three stages."""
    cases = [f"stage {stage}, batch 8, float32, contiguous, {step}" for stage in (1, 2, 3)]
    return Target(what, limit, "interlace_op_cuda", cases, "interlace", "of_copy", ">=")


ALL = (
    Target(
        "TIN / TSN, inference, float32, eager", 1.03, "network", [EAGER], "tin", published="published tin"
    ),
    Target("TIN / TSN, inference, bfloat16, optimised", 1.05, "network", [BFLOAT16], "tin"),
    Target(
        "TSM / TSN, inference, float32, eager", 1.02, "network", [EAGER], "tsm", published="published tsm"
    ),
    Target(
        "TIN / TSN, training step, float32", 1.05, "network", [TRAINING], "tin", published="published tin"
    ),
    Target(
        "optimised TIN in float32 / published arithmetic, eager",
        *(0.60, "network", [FLOAT32], "tin", f"ratio to {PUBLISHED}"),
        published=PUBLISHED,
    ),
    Target(
        "optimised TIN in bfloat16 / published arithmetic, eager float32",
        *(0.35, "network", [BFLOAT16], "tin", f"ratio to {PUBLISHED}"),
        published=PUBLISHED,
    ),
    operator("operator, whole tensor, forward / clone", 1.3, "forward", "interlace"),
    operator("the same, unmoved channels not copied", 0.6, "forward", "interlace, moved channels only", None),
    operator("operator, forward and backward / two clones", 1.5, "forward and backward", "interlace"),
    Target(
        "TIN, 8 frames / I3D, 32 frames, eager",
        1 / 8,
        "network",
        [BESIDE_I3D],
        "tin",
        published="published tin",
    ),
    Target("peak training memory, TIN / TSN", 1.05, "memory", [MEMORY], "tin", published="published tin"),
    Target(
        "a step of causal TSM / a frame of TSN, eager",
        *(1.05, "streaming", ["resnet50, a step, eager float32"], "tsm_causal"),
    ),
    Target(
        "a step of causal TIN / a frame of TSN, eager",
        *(1.10, "streaming", ["resnet50, a step, eager float32"], "tin_causal"),
    ),
    Target(
        "frames a second, causal TSM with MobileNetV2, optimised",
        *(60, "streaming", ["tsm_causal_mobilenetv2_100, frame after frame, optimized bfloat16"]),
        *("speed", "frames_per_second", ">="),
    ),
    bandwidth("GPU: operator's bytes a second / copy's, forward", 0.8, "forward"),
    bandwidth("GPU: the same, backward", 0.7, "backward"),
    Target("GPU: TIN / TSN, bfloat16, optimised", 1.05, "network_cuda", [BFLOAT16], "tin"),
)


def newest(folder: Path) -> dict[str, dict[str, Any]]:
    """File to case to the newest rows, with commit, machine and threads. Entries of earlier scripts name none."""
    results: dict[str, dict[str, Any]] = {}
    for name in (f"{file}{suffix}" for file in FILES for suffix in ("", "_cuda")):
        for entry in timing.read_history(folder / f"{name}.json"):
            if "machine" in entry:
                origin = {key: entry[key] for key in ("commit", "machine", "threads")}
                cases = {case: {"rows": rows, **origin} for case, rows in entry["results"].items()}
                results.setdefault(name, {}).update(cases)
    return results


def targets_table(results: Mapping[str, Results]) -> str:
    """Every target with what was measured, as Markdown."""
    lines = ["| ratio | published arithmetic | target | measured | |", "| --- | --- | --- | --- | --- |"]
    for target in ALL:
        values = target.values(results)
        published = target.values(results, target.published) if target.published else []
        cells = (
            target.what,
            f"{target.worst(published):.2f}" if published else "",
            f"{target.sense} {target.limit:.3g}",
            _listed(target, values),
            target.verdict(results),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _listed(target: Target, values: Sequence[float]) -> str:
    """The worst value, and all of them where there are several."""
    if not values:
        return ""
    each = f" ({', '.join(f'{value:.2f}' for value in values)})" if len(values) > 1 else ""
    return f"{target.worst(values):.3f}{each}"


def times_table(results: Mapping[str, Results]) -> str:
    """Milliseconds a clip, and the peak memory of a training step, as Markdown."""
    columns = {
        "inference": EAGER,
        "optimised": FLOAT32,
        "optimised, bfloat16": BFLOAT16,
        "training step": TRAINING,
    }
    lines = [
        f"| ms a clip | {' | '.join(columns)} | peak of the training step, MiB |",
        "| --- |" + " --- |" * (len(columns) + 1),
    ]
    for title, row in (("TSN", "tsn"), ("TSM", "tsm"), ("TIN", "tin"), ("TIN as published", "published tin")):
        places = [("network", case, "median_ms") for case in columns.values()] + [
            ("memory", MEMORY, "peak_mib")
        ]
        numbers = [
            results.get(file, {}).get(case, {}).get("rows", {}).get(row, {}).get(column)
            for file, case, column in places
        ]
        cells = ("" if number is None else f"{number:.0f}" for number in numbers)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def origin(results: Mapping[str, Results]) -> str:
    """Where the numbers come from: each commit, machine and number of threads once."""
    needed = {(target.file, case) for target in ALL for case in target.cases}
    found = [results[file][case] for file, case in sorted(needed) if case in results.get(file, {})]
    sources = {
        f"{(case['commit'] or 'no commit')[:8]}{'-dirty' * str(case['commit']).endswith('-dirty')} on "
        f"{case['machine'].get('gpu') or case['machine']['cpu']}, {case['threads']} threads"
        for case in found
    }
    return f"Measured with {'; '.join(sorted(sources)) or 'nothing yet'}."


def readme_part(results: Mapping[str, Results]) -> str:
    """What stands between the markers."""
    parts = (
        "ResNet-50, 8 frames of 224 x 224, batch 1, alternatives timed in turn. The operator on the inputs of the four "
        "stages, the worst counted.",
        targets_table(results),
        times_table(results),
        origin(results),
    )
    return "\n\n".join(parts)


def between_markers(text: str, part: str, file: Path) -> str:
    """The text with the part between its markers; ValueError where it has not exactly one pair."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{file} needs the lines {BEGIN} and {END}, once each and in this order")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{part}\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path, help="file with the two markers")
    options = parser.parse_args()
    results = newest(timing.RESULTS)
    for name, cases in results.items():
        for case, found in cases.items():
            timing.print_rows(f"{name}: {case}", found["rows"])
    print(f"\n{readme_part(results)}")
    if options.write:
        text = between_markers(options.write.read_text(), readme_part(results), options.write)
        with whole_file(options.write) as beside:
            beside.write_text(text)
        print(f"\nwritten: {options.write}")


if __name__ == "__main__":
    main()
