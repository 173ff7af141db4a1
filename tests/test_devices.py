from __future__ import annotations

import pytest
import torch

from interlace.devices import best_device, choose_device


def test_names() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(torch.device("cpu")) == torch.device("cpu")
    assert choose_device("auto").type == best_device()


def test_what_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"device 'gpu' cannot be used .*`interlace doctor`"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"device 'cuda' cannot be used .*; cpu always works"):
            choose_device("cuda")
