"""OpenVINO files: an .xml with the graph and, beside it, a .bin with the weights.

They hold operators and numbers. Nothing in them is run while they are opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.checkpoints import CheckpointError
from interlace.exported.about import CARD, GRAPH
from interlace.exported.runtime import check_device, import_runtime
from interlace.exported.signal_stack import signal_stack_kept


class OpenVinoRuntime:
    """An OpenVINO graph on the CPU.

    Float32 graphs are computed in float32: where the processor has bfloat16, OpenVINO would take that by itself, and
    answer otherwise than the network.

    Args:
        path: the .xml.
        device: cpu.
        threads: for the arithmetic.

    Raises:
        CheckpointError: a file is damaged, or the .bin is missing.
        ValueError: openvino is not installed, or the device is another.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.exported.openvino_model import OpenVinoRuntime
        >>> OpenVinoRuntime(Path("model.xml"), torch.device("cpu"), 2).output_names  # doctest: +SKIP
        ('logits',)
    """

    def __init__(self, path: Path, device: torch.device, threads: int) -> None:
        check_openvino_device(path, device)
        self.device = device
        core, graph = _read(path)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            with signal_stack_kept():
                self._request = core.compile_model(graph, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        self.input_shapes = {port.get_any_name(): _sizes(port) for port in graph.inputs}
        self.output_names = tuple(port.get_any_name() for port in graph.outputs)
        self.metadata = _metadata(graph)

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors in by input name, tensors out by output name."""
        arrays = {name: tensor.contiguous().numpy() for name, tensor in feeds.items()}
        # Inputs are read where they lie; outputs are copied, for the next call writes to the same memory.
        outputs = self._request.infer(arrays, share_inputs=True, share_outputs=False)
        return {name: torch.from_numpy(outputs[name]) for name in self.output_names}


def openvino_metadata(path: Path) -> dict[str, str]:
    """The texts in the file's metadata.

    Raises:
        CheckpointError: a file is damaged, or the .bin is missing.
        ValueError: openvino is not installed.

    Example:
        >>> from pathlib import Path
        >>> from interlace.exported.openvino_model import openvino_metadata
        >>> openvino_metadata(Path("model.xml")).keys()  # doctest: +SKIP
        dict_keys(['interlace', 'interlace_graph'])
    """
    return _metadata(_read(path)[1])


def check_openvino_device(path: Path, device: torch.device) -> None:
    """OpenVINO computes there.

    Raises:
        ValueError: it does not.
    """
    check_device(path, device, ("cpu",), "OpenVINO computes it on the processor")


def _metadata(graph: Any) -> dict[str, str]:
    return {key: graph.get_rt_info(key).astype(str) for key in (CARD, GRAPH) if graph.has_rt_info(key)}


def _read(path: Path) -> tuple[Any, Any]:
    """OpenVINO and the graph, not yet prepared."""
    openvino = import_runtime("openvino", path)
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise CheckpointError(f"{path}: its weights are in {weights.name}, which is not beside it; copy both")
    core = openvino.Core()
    try:
        return core, core.read_model(path, weights)
    except RuntimeError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: RuntimeError) -> CheckpointError:
    reason = " ".join(str(error).split())
    return CheckpointError(
        f"{path}: OpenVINO cannot read it and {path.with_suffix('.bin').name} ({reason}); copy or export both again"
    )


def _sizes(port: Any) -> tuple[int | None, ...]:
    return tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
