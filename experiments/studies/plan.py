"""What a study is: arms that differ in one thing, a data set and its split, and the seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Arm:
    """One configuration."""

    name: str
    model: str
    model_args: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    """Further options of `interlace train`, after those of the study."""


@dataclass(frozen=True)
class Data:
    """A data set: where it is, or how it is made."""

    name: str
    folder: Callable[[Path, Path], Path]
    """(folder of the data sets, folder of the trainings) to the folder of the videos, which is made if need be."""


def given(name: str) -> Data:
    """A folder of the data sets' folder.

    Raises:
        ValueError: when it is asked for: there is none.
    """

    def folder(data: Path, runs: Path) -> Path:
        del runs
        if not (data / name).is_dir():
            raise ValueError(f"{data / name}: no such folder; --data names the folder that holds {name}")
        return data / name

    return Data(name, folder)


@dataclass(frozen=True)
class Split:
    """Which clips train and which are scored."""

    name: str
    write: Callable[[Path, Path], tuple[Path, Path]]
    """(the data, an empty folder) to the lists of training and of scored clips."""


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it."""

    name: str
    question: str
    data: Data
    splits: tuple[Split, ...]
    """Each arm is trained on each; more than one is cross-validation."""
    options: tuple[str, ...]
    """Options of `interlace train` for all arms."""
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    reference: str
    """The arm that the others are compared with."""
    weights: str = ""
    """The file that each network begins from, in the folder `weights` beside that of the data sets."""
    order_dependent: tuple[str, ...] = ()
    """Classes that only the order of the frames tells apart; if there are any, the table says how they did."""

    def with_seeds(self, seeds: Sequence[int]) -> Study:
        """With these seeds, too."""
        return replace(self, seeds=tuple(dict.fromkeys((*self.seeds, *seeds))))

    def jobs(
        self, arms: Sequence[str] = (), seeds: Sequence[int] = (), splits: Sequence[str] = ()
    ) -> list[Job]:
        """All seeds of the first kind before the next, so that there is a whole table early.

        Raises:
            ValueError: there is no such arm or split.
        """
        self._check("arm", arms, self.arms)
        self._check("split", splits, self.splits)
        return [
            Job(self, arm, split, seed)
            for seed in seeds or self.seeds
            for split in self.splits
            if not splits or split.name in splits
            for arm in self.arms
            if not arms or arm.name in arms
        ]

    def _check(self, what: str, asked: Sequence[str], there: Sequence[Arm | Split]) -> None:
        unknown = sorted(set(asked) - {each.name for each in there})
        if unknown:
            known = ", ".join(each.name for each in there)
            raise ValueError(f"the study {self.name} has no {what} {', '.join(unknown)}; it has {known}")


@dataclass(frozen=True)
class Job:
    """One training and its score."""

    study: Study
    arm: Arm
    split: Split
    seed: int

    @property
    def options(self) -> list[str]:
        """What decides the result, besides the data; a change of any of it makes another run."""
        arguments = ["--model_args", json.dumps(dict(self.arm.model_args))] if self.arm.model_args else []
        return [
            *("--model", self.arm.model, *arguments),
            *self.study.options,
            *self.arm.options,
            *("--seed", str(self.seed)),
        ]

    @property
    def key(self) -> str:
        """Names the run, whatever the study: arms of two studies with the same options are one run."""
        begun = [self.study.weights] if self.study.weights else []
        told = json.dumps([self.study.data.name, self.split.name, self.options, *begun])
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.arm.name}, {self.split.name}, seed {self.seed}"
