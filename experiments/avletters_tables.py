"""The tables of avletters.py, from what it has recorded: python experiments/avletters_tables.py

Mean and sample deviation over the seeds, in percent; beside them the difference from the method that the part is about,
with the deviation of the differences seed by seed (of the first alone where a method has no seeds of its own).
"""

from __future__ import annotations

import json
import statistics

from common import RESULTS

ABOUT = {
    "sel": "dam_joint",
    "sel_ablations": "dam_joint",
    "sel_weights": "dam_joint",
    "sel_parts": "dam_joint",
    "dam_ablations": "dam",
    "dam_weights": "dam",
    "cml": "dam_local",
    "cml_ablations": "dam",
    "out_of_step": "dam",
}
"""What the others are compared with: for the ablations it is in the part without them."""
METRICS = {"sel": ("accuracy", "relevance", "category"), "cml": ("mean", "a2v", "v2a")}
Runs = dict[str, dict[str, float]]
"""The metrics of each seed."""


def runs_of(part: str, split: str) -> dict[str, Runs]:
    """The newest recorded runs of each row of a part."""
    newest = json.loads((RESULTS / f"avletters_{part}.json").read_text())[-1]
    return {row["name"]: next(iter(row["results"][split].values()))["by_seed"] for row in newest["results"]}


def of_seeds(values: list[float]) -> str:
    """Mean and spread."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"


def difference(ours: Runs, theirs: Runs, metric: str) -> str:
    """Ours less theirs, seed by seed; a method without seeds is the same for all."""
    shared = [seed for seed in ours if seed in theirs] if len(theirs) > 1 else list(ours)
    only = next(iter(theirs.values()))
    return of_seeds([ours[seed][metric] - theirs.get(seed, only)[metric] for seed in shared])


def print_table(part: str) -> None:
    """One table in markdown."""
    about = ABOUT[part]
    task = "cml" if part in ("cml", "cml_ablations", "out_of_step") else "sel"
    metrics, validation, test = METRICS[task], runs_of(part, "validation"), runs_of(part, "test")
    base = test[about] if about in test else runs_of(task, "test")[about]
    print(f"\n{part}\n")
    less = f"{about} less this, test {metrics[0]}"
    print(f"| row | seeds | validation {metrics[0]} | test {' | test '.join(metrics)} | {less} |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in test.items():
        shown = [of_seeds([seed[metric] for seed in runs.values()]) for metric in metrics]
        first = of_seeds([seed[metrics[0]] for seed in validation[name].values()])
        away = "" if name == about else difference(base, runs, metrics[0])
        print(f"| `{name}` | {len(runs)} | {first} | {' | '.join(shown)} | {away} |")


if __name__ == "__main__":
    for part in ABOUT:
        if (RESULTS / f"avletters_{part}.json").exists():
            print_table(part)
