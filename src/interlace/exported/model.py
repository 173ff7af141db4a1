"""An exported network with the face of any other one, so that prediction, evaluation and streaming need not know."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from interlace.checkpoints import CheckpointError, ModelCard
from interlace.exported.about import BATCH, About
from interlace.exported.runtime import Runtime
from interlace.modality import Modality
from interlace.temporal.stream import State


class ExportedModel(nn.Module):
    """A graph out of a file, run by onnxruntime, OpenVINO or PyTorch; for inference only.

    It takes clips or frames like the network that it was exported from: normalised float32. Where the graph has the
    normalisation inside, it is undone first, which gives back the very pixels; uint8 pixels may be given as well. A
    graph that steps through frames answers clips by the mean of its logits over the frames. A fixed batch is filled up.

    Attributes: ``path``, ``about`` (what the graph takes and gives), ``device``, ``segments``, ``num_segments``,
    ``num_classes``, ``in_chans``, ``modality``, ``mean``, ``std``.

    Raises:
        CheckpointError: the graph has inputs or outputs of other names or sizes than its metadata says.

    Made by :func:`interlace.load` and :func:`interlace.exported.load_model`.
    """

    def __init__(self, path: Path, runtime: Runtime, about: About, card: ModelCard) -> None:
        super().__init__()
        self.path, self.runtime, self.about = path, runtime, about
        parts = card.sampling.get("parts", [card.sampling])
        self.segments = tuple(part["num_segments"] for part in parts)
        self.num_segments = sum(self.segments)
        self.num_classes = len(card.labels)
        self.modality: Modality = card.preprocessing.get("modality", "rgb")
        self.mean = tuple(float(value) for value in card.preprocessing["mean"])
        self.std = tuple(float(value) for value in card.preprocessing["std"])
        self.in_chans = len(self.mean)
        _check_names(path, runtime, about)
        self._sizes = runtime.input_shapes[about.input_names[0]]
        frames = () if self.streams else (self.num_segments,)
        _check_sizes(path, about.input_names[0], self._sizes, (None, *frames, self.in_chans, None, None))
        for name, tensor in zip(about.input_names[1:], about.state, strict=True):
            shape = tuple(None if size == BATCH else size for size in tensor.shape)
            _check_sizes(path, name, runtime.input_shapes[name], shape)
        super().train(False)

    @property
    def device(self) -> torch.device:
        """Where the graph computes; tensors may come from elsewhere, and the answers go back there."""
        return self.runtime.device

    @property
    def streams(self) -> bool:
        """Whether it steps through frames."""
        return self.about.kind == "stream"

    def state_names(self) -> tuple[str, ...]:
        """One for each tensor of the state."""
        return self.about.state_names

    @torch.inference_mode()
    def forward(self, clip: Shaped[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits.

        Raises:
            ValueError: the clips are none, or have other sizes than the graph takes.
        """
        if self.streams:
            return self.forward_frames(clip).mean(1)
        self._check_input(clip, "clips are (B, T, C, H, W)", 5)
        if clip.shape[1] != self.num_segments:
            raise ValueError(
                f"the clip has {clip.shape[1]} frames, {self.path} was exported for {self.num_segments}; "
                "export the network again with another num_segments"
            )
        pixels = self._as_taken(clip)
        fixed = self._sizes[0] or len(pixels)
        parts = [self._run({"clip": _filled(part, fixed)})["logits"] for part in pixels.split(fixed)]
        return torch.cat(parts)[: len(clip)].to(clip.device)

    @torch.inference_mode()
    def forward_frames(self, clip: Shaped[Tensor, "B T C H W"]) -> Float[Tensor, "B T K"]:
        """Logits after each frame of clips of any length.

        Raises:
            ValueError: the graph takes whole clips, or other sizes.
        """
        self._check_streams()
        if clip.ndim != 5 or 0 in clip.shape[:2]:
            raise ValueError(f"clips are (B, T, C, H, W); got {tuple(clip.shape)}")
        fixed = self._sizes[0] or len(clip)
        parts = []
        for part in clip.split(fixed):
            state = self.init_state(fixed)
            logits = []
            for frame in _filled(part, fixed).unbind(1):
                answer, state = self.step(frame, state)
                logits.append(answer)
            parts.append(torch.stack(logits, 1))
        return torch.cat(parts)[: len(clip)]

    def init_state(self, batch: int, image_size: int | tuple[int, int] | None = None) -> State:
        """The state before the first frame of so many streams.

        Raises:
            ValueError: the graph takes whole clips, another number of streams, or frames of another size.
        """
        self._check_streams()
        if batch < 1 or batch != (self._sizes[0] or batch):
            raise ValueError(
                f"{batch} streams: {self.path} was exported for {self._sizes[0] or 'one or more'} at a time"
            )
        size = self.about.image_size
        if image_size not in (None, size, (size, size)):
            raise ValueError(f"{self.path} was exported for frames of {size}x{size}, not {image_size}")
        return tuple(tensor.zeros(batch, self.device) for tensor in self.about.state)

    @torch.inference_mode()
    def step(self, frame: Shaped[Tensor, "B C H W"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """One frame of each stream and the state so far; logits and the state with that frame in it.

        Raises:
            ValueError: the graph takes whole clips, or frames or a state of other sizes.
        """
        self._check_streams()
        self._check_input(frame, "frames are (B, C, H, W)", 4)
        self._check_state(len(frame), state)
        feeds = dict(zip(self.about.input_names, (self._as_taken(frame), *state), strict=True))
        outputs = self._run(feeds)
        return outputs["logits"].to(frame.device), tuple(
            outputs[name] for name in self.about.output_names[1:]
        )

    def train(self, mode: bool = True) -> ExportedModel:
        """Evaluation mode is the only one."""
        if mode:
            raise ValueError(
                f"{self.path} is for inference only; train the network that it was exported from"
            )
        return super().train(False)

    @property
    def builder(self) -> str:
        """There is none: a graph cannot be built anew."""
        raise ValueError(f"{self.path} cannot be rebuilt; change the checkpoint, then export that")

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.path.name}, {self.about.kind}, {self.about.precision}, {self.device}"

    def _check_streams(self) -> None:
        if not self.streams:
            raise ValueError(
                f"{self.path} takes whole clips and keeps no state; export a causal network "
                "(tsn_*, tsm_causal_*, tin_causal_*) with --streaming"
            )

    def _run(self, feeds: dict[str, Tensor]) -> dict[str, Tensor]:
        """Inputs were checked against what the file says of itself; what is refused now is the file's fault."""
        try:
            return self.runtime.run(feeds)
        except MemoryError:
            raise
        except Exception as error:  # of runtimes that have no class of errors in common
            reason = " ".join(str(error).split())
            raise CheckpointError(
                f"{self.path}: its graph cannot be run ({reason}); export the network again"
            ) from error

    def _check_input(self, values: Tensor, form: str, ndim: int) -> None:
        if values.ndim != ndim or not (values.is_floating_point() or values.dtype == torch.uint8):
            raise ValueError(
                f"{form}, normalised floating point numbers or uint8 pixels; "
                f"got {tuple(values.shape)} of {values.dtype}"
            )
        if len(values) == 0:
            raise ValueError("the batch is empty")
        if values.shape[-3] != self.in_chans:
            raise ValueError(
                f"the frames have {values.shape[-3]} channels, {self.path} takes {self.in_chans} ({self.modality})"
            )
        for size, taken in zip(values.shape[-2:], self._sizes[-2:], strict=True):
            if taken not in (None, size):
                raise ValueError(
                    f"the frames are {values.shape[-2]}x{values.shape[-1]} pixels, {self.path} was exported for "
                    f"{self._sizes[-2]}x{self._sizes[-1]}; resize them, or use a protocol with crops of that size"
                )

    def _check_state(self, batch: int, state: State) -> None:
        wanted = [
            tuple(batch if size == BATCH else size for size in tensor.shape) for tensor in self.about.state
        ]
        got = [tuple(tensor.shape) for tensor in state]
        if got != wanted:
            raise ValueError(
                f"the state has the shapes {got}, for {batch} streams {self.path} takes {wanted}; "
                "begin with init_state, and give back what step returned"
            )

    def _as_taken(self, values: Tensor) -> Tensor:
        """As the graph takes them: pixels, or normalised float32."""
        values = values.to(self.device)
        if (values.dtype == torch.uint8) == self.about.pixels:
            return values if self.about.pixels else values.float()
        mean = torch.tensor(self.mean, device=self.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=self.device).view(-1, 1, 1)
        if self.about.pixels:
            return ((values.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
        return (values.float() / 255 - mean) / std


def _filled(values: Tensor, batch: int) -> Tensor:
    """As many rows as the graph is fixed to; the last one is repeated."""
    missing = batch - len(values)
    return torch.cat([values, values[-1:].repeat_interleave(missing, 0)]) if missing else values


def _check_names(path: Path, runtime: Runtime, about: About) -> None:
    there = (set(runtime.input_shapes), set(runtime.output_names))
    if there != (set(about.input_names), set(about.output_names)):
        raise CheckpointError(
            f"{path}: its graph takes {sorted(there[0])} and gives {sorted(there[1])}, its metadata says "
            f"{sorted(about.input_names)} and {sorted(about.output_names)}; export it again"
        )


def _check_sizes(
    path: Path, name: str, sizes: tuple[int | None, ...], wanted: tuple[int | None, ...]
) -> None:
    fits = len(sizes) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(sizes, wanted, strict=True)
    )
    if not fits:
        raise CheckpointError(
            f"{path}: its graph takes a {name} of {sizes}, its metadata says {wanted}; export it again"
        )
