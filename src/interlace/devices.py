"""The device that a name means, for all that runs a network."""

from __future__ import annotations

import torch


def best_device() -> str:
    """A CUDA GPU where there is one, else Apple's, else the CPU.

    Example:
        >>> from interlace.devices import best_device
        >>> best_device() in ("cuda", "mps", "cpu")
        True
    """
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_device(device: str | torch.device) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        ValueError: there is no such device.

    Example:
        >>> from interlace.devices import choose_device
        >>> choose_device("cpu")
        device(type='cpu')
    """
    try:
        chosen = torch.device(best_device() if device == "auto" else device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        first_line = str(problem).splitlines()[0]
        raise ValueError(
            f"device {str(device)!r} cannot be used ({first_line}); cpu always works, "
            "and `interlace doctor` lists what is here"
        ) from problem
    return chosen
