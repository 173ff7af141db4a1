"""ONNX files, run by onnxruntime.

A file holds operators and numbers. Nothing in it is run while it is opened, and no library that it may name is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.checkpoints import CheckpointError
from interlace.exported.runtime import check_device, import_runtime

ONLY_FATAL = 4
"""onnxruntime's own messages go to the error stream; what is wrong is raised anyway."""


class OnnxRuntime:
    """An ONNX graph in onnxruntime, on the CPU or a CUDA GPU (tensors go through the host's memory there).

    Args:
        path: the file.
        device: cpu, or cuda where onnxruntime was built for it.
        threads: for the arithmetic on the CPU.

    Raises:
        CheckpointError: the file is damaged, or its weights are in another file that is not there.
        ValueError: onnxruntime is not installed, or cannot use the device.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.exported.onnx_model import OnnxRuntime
        >>> OnnxRuntime(Path("model.onnx"), torch.device("cpu"), 2).output_names  # doctest: +SKIP
        ('logits',)
    """

    def __init__(self, path: Path, device: torch.device, threads: int) -> None:
        onnxruntime = import_runtime("onnxruntime", path)
        check_onnx_device(path, device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ONLY_FATAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        providers: list[Any] = ["CPUExecutionProvider"]
        if device.type == "cuda":
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
        self.device = device
        self._session = _session(path, options, providers)
        if device.type == "cuda" and "CUDAExecutionProvider" not in self._session.get_providers():
            raise ValueError(
                f"{path}: onnxruntime cannot use {device}: its CUDA libraries do not load; device cpu works"
            )
        self.input_shapes = {
            value.name: tuple(size if isinstance(size, int) else None for size in value.shape)
            for value in self._session.get_inputs()
        }
        self.output_names = tuple(value.name for value in self._session.get_outputs())
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors in by input name, tensors out by output name."""
        arrays = {name: tensor.contiguous().cpu().numpy() for name, tensor in feeds.items()}
        outputs = self._session.run(self.output_names, arrays)
        return {
            name: torch.from_numpy(array).to(self.device)
            for name, array in zip(self.output_names, outputs, strict=True)
        }


def onnx_metadata(path: Path) -> dict[str, str]:
    """The texts in the file's metadata.

    Raises:
        CheckpointError: the file is damaged, or its weights are in another file that is not there.
        ValueError: onnxruntime is not installed.

    Example:
        >>> from pathlib import Path
        >>> from interlace.exported.onnx_model import onnx_metadata
        >>> onnx_metadata(Path("model.onnx")).keys()  # doctest: +SKIP
        dict_keys(['interlace', 'interlace_graph'])
    """
    onnxruntime = import_runtime("onnxruntime", path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ONLY_FATAL
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )  # read, do not prepare
    metadata: dict[str, str] = (
        _session(path, options, ["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
    )
    return metadata


def check_onnx_device(path: Path, device: torch.device) -> None:
    """Onnxruntime can compute there.

    Raises:
        ValueError: it cannot, or is not installed.
    """
    has_cuda = "CUDAExecutionProvider" in import_runtime("onnxruntime", path).get_available_providers()
    usable = ("cpu", "cuda") if has_cuda else ("cpu",)
    check_device(
        path, device, usable, "the onnxruntime that is installed has no other (onnxruntime-gpu has CUDA)"
    )


def _session(path: Path, options: Any, providers: list[Any]) -> Any:
    onnxruntime = import_runtime("onnxruntime", path)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no other class in common
        reason = " ".join(str(error).split())
        if "external data" in reason.lower() or "external initializer" in reason.lower():
            raise CheckpointError(
                f"{path}: its weights are in a second file, which must lie beside it; copy both ({reason})"
            ) from error
        raise CheckpointError(
            f"{path}: onnxruntime cannot read it ({reason}); copy or export it again"
        ) from error
