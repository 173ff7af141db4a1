"""PyTorch's exported programs (.pt2), run by PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from interlace.checkpoints import CheckpointError
from interlace.exported.about import About
from interlace.exported.torch_archive import checked_copy


class TorchRuntime:
    """An exported program in PyTorch, on any of its devices, with PyTorch's own threads.

    What could run code while the file is opened is refused: see :mod:`interlace.exported.torch_archive`.

    Args:
        path: the file.
        device: where to compute.
        about: what the file's metadata says; a program knows its inputs and outputs by their places only.

    Raises:
        CheckpointError: the file is damaged, or holds what could run code.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.exported.torch_model import TorchRuntime
        >>> TorchRuntime(Path("model.pt2"), torch.device("cpu"), about).output_names  # doctest: +SKIP
        ('logits',)
    """

    def __init__(self, path: Path, device: torch.device, about: About) -> None:
        from torch.export.passes import move_to_device_pass  # torch.export is slow to load

        copy = checked_copy(path)
        try:
            program = torch.export.load(copy)
            if device.type != "cpu":
                program = move_to_device_pass(program, device)
            self._module = program.module(check_guards=False)
        except Exception as error:  # it raises whatever the file leads it to
            reason = " ".join(str(error).split())[-300:]
            raise CheckpointError(
                f"{path}: PyTorch {torch.__version__} cannot open it ({reason}); copy or export it again"
            ) from error
        self.device = device
        self.output_names = about.output_names
        signature = program.graph_signature
        values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
        inputs = [tuple(values[name].shape) for name in signature.user_inputs]
        if len(inputs) != len(about.input_names) or len(signature.user_outputs) != len(about.output_names):
            raise CheckpointError(
                f"{path}: it has {len(inputs)} inputs and {len(signature.user_outputs)} outputs, its metadata "
                f"tells of {len(about.input_names)} and {len(about.output_names)}; export it again"
            )
        self.input_shapes = {
            name: tuple(size if isinstance(size, int) else None for size in shape)
            for name, shape in zip(about.input_names, inputs, strict=True)
        }

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors in by input name, tensors out by output name."""
        with torch.autocast(self.device.type, enabled=False):
            outputs = self._module(*(feeds[name] for name in self.input_shapes))
        outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
        return dict(zip(self.output_names, outputs, strict=True))
