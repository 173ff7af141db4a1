"""A released file as a plain mapping from names to tensors. No code of the file is run."""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interlace.released.refusal import DOWNLOAD, ReleasedError, first_line, reason, refuse_other_files

WEIGHTS = ("state_dict", "model", "model_state_dict", "model_state", "net_state_dict", "net", "weights")
"""Entries of a training state in which the weights stand; the first that is there is taken."""
DEEPEST = 3
"""Training states within each other."""
_PREFIX = re.compile(r"^(?:(?:module|_orig_mod)\.)+")
"""What training on several GPUs and compilation put in front of every name."""


@dataclass(frozen=True)
class Source:
    """What stands in a file."""

    path: Path
    state: dict[str, Tensor]
    """The weights, without the prefixes that wrappers leave."""
    entries: frozenset[str] = frozenset()
    """Names of what stands beside the weights (epoch, optimizer, lr_scheduler, ...)."""
    facts: dict[str, float] = field(default_factory=dict)
    """The numbers among it: epoch, best_prec1."""


def read_source(path: str | Path) -> Source:
    """Read a file of weights, plain or within a training state.

    .safetensors, or what torch.save wrote (.pth, .pth.tar, .bin), of which only tensors, numbers, text and
    containers are read (weights_only).

    Raises:
        ReleasedError: it is something else, damaged, or would run code; the message says which.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from interlace.released.reading import read_source
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "ckpt.pth.tar"
        >>> torch.save({"epoch": 45, "state_dict": {"module.new_fc.bias": torch.zeros(3)}}, file)
        >>> source = read_source(file)
        >>> list(source.state), source.facts
        (['new_fc.bias'], {'epoch': 45.0})
    """
    path = Path(path)
    refuse_other_files(path)
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    entries: dict[str, Any] = {}
    for _ in range(DEEPEST):
        if not isinstance(content, Mapping):
            break
        inner = next((content[name] for name in WEIGHTS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        entries |= {str(key): value for key, value in content.items() if value is not inner}
        content = inner
    if not isinstance(content, Mapping):
        raise ReleasedError(f"{path}: no names with weights in it, but a {type(content).__name__}")
    if not any(isinstance(value, Tensor) for value in content.values()):
        raise ReleasedError(f"{path}: no weights in it, but {_told(content)}")
    state = _without_prefix(path, content)
    facts = {key: float(entries[key]) for key in ("epoch", "best_prec1") if _is_number(entries.get(key))}
    return Source(path, state, frozenset(entries), facts)


def sha256(path: Path) -> str:
    """The file's checksum, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # it is read, or an error
            warnings.filterwarnings("ignore", message="Validating sparse")  # they are refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each kind of damage raises something else
        raise ReleasedError(f"{path}: {reason(error)}") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            if "interlace" in (file.metadata() or {}):
                raise ReleasedError(f"{path}: already a checkpoint of interlace; use it as it is")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise ReleasedError(
            f"{path}: not a whole .safetensors file ({first_line(error)}); {DOWNLOAD}"
        ) from error


def _is_safetensors(path: Path) -> bool:
    """Whether it begins as one: the length of a JSON header, and the header."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def _harmless() -> list[Any]:
    """What old training states hold beside tensors: numpy numbers (best_prec1) and the parsed command line."""
    scalar = np.float64(0).__reduce__()[0]
    numbers = [type(np.dtype(name)) for name in ("f2", "f4", "f8", "i4", "i8", "u1", "?")]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [argparse.Namespace, np.dtype, *numbers, *((scalar, name) for name in names)]


def _without_prefix(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    others = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise ReleasedError(
            f"{path}: {len(others)} of its weights are not tensors, e.g. {', '.join(others[:3])}"
        )
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        name = _PREFIX.sub("", str(key))
        if name in state:
            raise ReleasedError(f"{path}: it has {name} twice, with a prefix and without; keep one of them")
        if value.layout == torch.strided and value.numel() > value.untyped_storage().nbytes():
            raise ReleasedError(
                f"{path}: {key} repeats a few numbers {value.numel()} times, as no weights do; save it anew"
            )
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            kind = value.dtype if value.layout == torch.strided else value.layout
            raise ReleasedError(
                f"{path}: {key} is a tensor of {kind}; save the weights as plain float32 tensors"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ReleasedError(
                f"{path}: {key} holds NaN or infinity; the training has failed, or the file is damaged"
            )
        state[name] = value
    return state


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor) and value.numel() != 1:
        return False
    return isinstance(value, int | float | np.number | Tensor) and math.isfinite(float(value))


def _told(content: Mapping[Any, Any]) -> str:
    if not content:
        return "nothing at all"
    names = [f"{key} ({type(value).__name__})" for key, value in content.items()]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"{', '.join(names[:6])}{more}; the weights are looked for under {', '.join(WEIGHTS[:3])}, ..."
