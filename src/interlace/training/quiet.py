"""Keeps the console for what matters: a training framework's hints are not news to somebody who trains."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

# (what it says, why it is no news here)
NOISE = (
    ("does not have many workers", "trainer.num_workers is the user's choice"),
    ("This DataLoader will create \\d+ worker processes", "trainer.num_workers is the user's choice"),
    ("module\\(s\\) in eval mode at the start of training", "fixed batch norms are meant to be"),
    ("It is recommended to use `(self.log|sync_dist)", "torchmetrics has added the devices up already"),
    ("Experiment logs directory .* exists", "TensorBoard reads several files of one run"),
    ("The `srun` command is available", "one process is what was asked for"),
    ("GPU available but not used", "trainer.accelerator is the user's choice"),
    ("The number of training batches .* is smaller than the logging interval", "metrics.csv has every epoch"),
    ("No positive samples found in target", "a class without validation clips has no average precision"),
    ("`?isinstance\\(treespec, LeafSpec\\)`? is deprecated", "a library speaks to a library"),
    (
        "Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step",
        "float16 skips steps that overflow",
    ),
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is known to be noise; every other warning comes through.

    Example:
        >>> import warnings
        >>> from interlace.training.quiet import quiet
        >>> with quiet():
        ...     warnings.warn("the 'train_dataloader' does not have many workers", stacklevel=1)
    """
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message, _ in NOISE:
            warnings.filterwarnings("ignore", message=f".*{message}")
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
