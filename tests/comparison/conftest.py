from __future__ import annotations

import pytest
import torch

from interlace.comparison import Row, Setting, counted, entries


@pytest.fixture(scope="session")
def default_rows() -> list[Row]:
    """What `interlace compare --no_latency` counts; it takes seconds, so it is counted once."""
    return list(counted(entries(), Setting(174, 224, 1, torch.device("cpu")), lambda _: None))
