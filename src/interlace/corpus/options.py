"""What `--ray.*` says; apart from the engine, so that a command line is read without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RayOptions:
    """Where the processes of a job run, and how many there are.

    Example:
        >>> from interlace.corpus.options import RayOptions
        >>> RayOptions(num_gpus=0.25).num_cpus
        1
    """

    address: str = "local"
    """local: a cluster of this machine, for this command; auto: the one that `ray start` began here; or host:port,
    ray://host:10001."""
    num_cpus: float | int = 1
    """Cores of a process, and its threads."""
    num_gpus: float | int = 0
    """GPUs of a process; 0.25 has four processes share one."""
    concurrency: int | None = None
    """Processes at a time; by default as many as fit the cluster when the job begins."""
    batch: int | None = None
    """Videos of a part, which a process that dies has to do again; by default up to 256."""
    attempts: int = 3
    """How often a video may take its process with it before it is given up, and listed as failed."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "batch", "attempts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--ray.{name} {value} must be at least 1")
        if self.num_cpus <= 0 or self.num_gpus < 0:
            raise ValueError(
                f"--ray.num_cpus {self.num_cpus} must be above 0, and --ray.num_gpus {self.num_gpus} not below it"
            )


ON_THIS_MACHINE = RayOptions()
