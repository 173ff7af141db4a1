"""Everything that a training run can be told. The sentence under a field is its documentation and `--help`.

This file holds data only: no class of the package takes a config, the run is put together in `training.run`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from interlace.data.shards.place import as_url
from interlace.training.ranges import at_least_one, below_one, not_negative, part, require


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to a training clip, the same on all its frames."""

    crop: Literal["multi_scale", "resized", "center"] = "multi_scale"
    """multi_scale: the published corner crops; resized: random area and shape; center: no randomness."""
    crop_scales: tuple[float, ...] | None = None
    """Sides of the multi-scale crop as a part of the frame's short side; by default [1, 0.875, 0.75, 0.66] for RGB,
    the first three with flow or differences."""
    crop_area: tuple[float, float] = (0.3, 1.0)
    """Area of the resized crop as a part of the frame."""
    flip: bool = True
    """Mirror half of the clips; left/right classes swap, or flipping is turned off and said."""
    flip_pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of class names that a mirror turns into each other, e.g. [[left, right]]."""
    color_jitter: float = 0.0
    """Strength of random brightness, contrast and saturation; 0 is off."""
    mixup: float = 0.0
    """Beta parameter of mixup between clips; 0 is off."""
    cutmix: float = 0.0
    """Beta parameter of cutmix between clips (the same box on every frame); 0 is off."""

    def __post_init__(self) -> None:
        require(self, "augment.", "above 0 and up to 1", part, "crop_area")
        require(self, "augment.", "0 or more", not_negative, "color_jitter", "mixup", "cutmix")
        if self.crop_scales is not None:
            require(self, "augment.", "above 0 and up to 1", part, "crop_scales")
            if not self.crop_scales:
                raise ValueError("augment.crop_scales=() must hold a number or more")
        if self.crop_area[0] > self.crop_area[1]:
            raise ValueError(f"augment.crop_area={self.crop_area}: the smaller number comes first")


@dataclass(frozen=True)
class OptimConfig:
    """Stochastic gradient descent as the papers run it, or AdamW."""

    name: Literal["sgd", "adamw"] = "sgd"
    """sgd: as in the papers; adamw: learns faster from scratch on few clips, e.g. with --lr 0.001 and a weight_decay
    of 0.05; it leaves momentum and nesterov alone."""
    base_batch_size: int = 16
    """Clips an update that the learning rate is given for; it is scaled to the real number on all devices."""
    momentum: float = 0.9
    """Momentum of SGD."""
    nesterov: bool = False
    """Nesterov momentum."""
    weight_decay: float = 5e-4
    """Weight decay; biases and batch norm get none."""
    schedule: Literal["cosine", "steps"] = "cosine"
    """cosine: half a cosine to zero; steps: times step_factor at each of the step epochs."""
    step_epochs: tuple[float, ...] = ()
    """Epochs at which the learning rate drops (schedule: steps)."""
    step_factor: float = 0.1
    """Factor of each drop (schedule: steps)."""
    warmup_epochs: float = 1.0
    """Epochs of linear warm-up, in fractions of an epoch if need be."""
    warmup_factor: float = 0.1
    """The learning rate starts at this part of its value."""
    bias_lr_factor: float = 2.0
    """Learning rate of the biases of convolutions and linear layers, as a multiple."""
    head_lr_factor: float = 5.0
    """Learning rate of the new classifier's weights, as a multiple; its bias has bias_lr_factor times it."""
    clip_gradient: float = 20.0
    """Largest norm of the gradient; 0 is off."""
    accumulate: int = 1
    """Steps whose gradients are added before one update."""
    batch_norm: Literal["train", "partial", "frozen"] = "train"
    """partial: all batch norms but the first keep their statistics and scale (as in TSN); frozen: all do."""

    def __post_init__(self) -> None:
        require(self, "optim.", "1 or more", at_least_one, "base_batch_size", "accumulate")
        require(self, "optim.", "0 or more and below 1", below_one, "momentum")
        require(self, "optim.", "0 or more", not_negative, "weight_decay", "warmup_epochs", "clip_gradient")
        require(self, "optim.", "0 or more", not_negative, "bias_lr_factor", "head_lr_factor", "step_epochs")
        require(self, "optim.", "from 0 to 1", lambda number: 0 <= number <= 1, "warmup_factor")
        require(self, "optim.", "above 0 and up to 1", part, "step_factor")
        if self.schedule == "steps" and not self.step_epochs:
            raise ValueError("optim.schedule=steps needs optim.step_epochs, e.g. [20, 40]")
        if self.nesterov and not self.momentum:
            raise ValueError("optim.nesterov=True needs optim.momentum above 0")


@dataclass(frozen=True)
class LossConfig:
    """What is minimised."""

    label_smoothing: float = 0.0
    """Part of the probability that is spread over all classes."""
    class_balance: Literal["none", "sampler", "weights"] = "none"
    """sampler: rare classes are drawn more often; weights: their loss counts more."""

    def __post_init__(self) -> None:
        require(self, "loss.", "0 or more and below 1", below_one, "label_smoothing")


@dataclass(frozen=True)
class DecodeConfig:
    """How training reads videos."""

    short_side: int = 0
    """Resize larger training frames to this short side before they are cropped; 0 leaves them as they are."""
    cache: str = "off"
    """Decode short videos once and keep their frames: ram, or a folder on a quick disk; off decodes every time."""
    cache_gigabytes: float = 4.0
    """Most that the kept frames may take up; videos beyond it are decoded every time."""

    def __post_init__(self) -> None:
        require(self, "decode.", "0 or more", not_negative, "short_side")
        require(self, "decode.", "above 0", lambda number: number > 0, "cache_gigabytes")


@dataclass(frozen=True)
class TrainerConfig:
    """Where and how the run is carried out."""

    devices: int = 1
    """Devices on each node; with torchrun the number of processes it starts."""
    num_nodes: int = 1
    """Machines."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """auto takes a GPU where there is one."""
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """How several devices share the network: ddp: each has all of it; fsdp: each has a part of the weights, for
    networks that do not fit beside each other; auto: ddp."""
    sync_batch_norm: bool = False
    """Batch norms that learn see the clips of all devices, as if one device had them; otherwise each sees its own."""
    timeout_minutes: float = 10.0
    """A device that does not hear of the others for this long ends with an error."""
    precision: Literal["32", "bf16", "16"] = "32"
    """Arithmetic: 32-bit, or mixed with bfloat16 or float16."""
    num_workers: int | Literal["auto"] = "auto"
    """Processes that decode; 0 decodes in the training process, auto goes by the cores and the device."""
    ema_decay: float = 0.0
    """Decay of the averaged weights that are validated and saved; 0 is off."""
    early_stopping: int = 0
    """Stop after this many epochs without a better validation score; 0 is off."""
    validate_every: int = 1
    """Epochs between validations."""
    checkpoint_minutes: float = 30.0
    """Besides every epoch, save a checkpoint to resume from this often; 0 is off."""
    deterministic: bool = False
    """Use deterministic kernels on a GPU (slower). A CPU run repeats bit for bit without it."""
    max_steps: int = -1
    """Stop after this many updates; -1 is no limit."""

    def __post_init__(self) -> None:
        require(self, "trainer.", "1 or more", at_least_one, "devices", "num_nodes", "validate_every")
        require(self, "trainer.", "0 or more", not_negative, "early_stopping")
        require(self, "trainer.", "above 0", lambda number: number > 0, "timeout_minutes")
        if self.num_workers != "auto":
            require(self, "trainer.", "0 or more", not_negative, "num_workers")
        require(self, "trainer.", "0 or more", not_negative, "checkpoint_minutes")
        require(self, "trainer.", "0 or more and below 1", below_one, "ema_decay")
        require(self, "trainer.", "-1, or 1 or more", lambda number: number == -1 or number >= 1, "max_steps")


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Defaults suit fine-tuning on a small data set of one's own."""

    data: Path
    """Folder of the videos: a folder per class, or train.csv and val.csv beside the files; or a folder or URL of shards
    that `interlace shard` wrote."""
    train: Path | None = None
    """Annotation file of the training videos; found by itself if it is train.csv in the data folder."""
    val: Path | None = None
    """Annotation file of the validation videos; without one, val_fraction of each class is held out."""
    format: str = "auto"
    """Format of the annotations: see `interlace check --help` for the names."""
    labels: Path | None = None
    """File with the class names, where the format has one."""
    allow_outside: bool = False
    """Take clips that a list names outside of the data folder, by absolute paths or such with .. in them."""
    frames: str | None = None
    """Template of frame files where videos are folders of pictures, e.g. img_{:05d}.jpg; found if omitted."""
    val_fraction: float = 0.2
    """Part of each class that is held out where there is no validation file."""
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with a video that cannot be read; skipped and damaged ones are counted and listed."""
    color: Literal["rgb", "gray"] = "rgb"
    """gray reads one channel and builds a network with one input channel."""
    modality: Literal["auto", "rgb", "flow", "rgb_diff", "rgb_flow"] = "auto"
    """What the network sees: auto is both for two-stream networks and RGB for all others."""
    flow: Literal["dis", "dis_fast", "tvl1"] | Path = "dis"
    """Method to compute optical flow with at every reading, or the folder that `interlace flow` has stored it in."""

    model: str = "tin_resnet50"
    """Network: METHOD_BACKBONE; see `interlace models`."""
    pretrained: bool | Literal["auto"] | Path = "auto"
    """true: timm's weights; a file: those; false: none; auto: timm's if they can be had, and it is said."""
    model_args: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the network's builder."""
    dropout: float = 0.5
    """Dropout before the classifier."""

    num_segments: int | None = None
    """Frames in a clip (T); by default as many as the method was published with, mostly 8."""
    sampling: Literal["segment", "dense"] = "segment"
    """segment: one frame from each of T equal spans; dense: T frames frame_stride apart."""
    frame_stride: int = 8
    """Distance between frames in dense sampling."""
    image_size: int = 224
    """Side of the square that the network sees, in pixels."""

    epochs: int = 30
    """Times that the training videos are seen."""
    batch_size: int = 8
    """Clips in a step on one device."""
    lr: float = 0.01
    """Learning rate for optim.base_batch_size clips a step."""
    seed: int = 0
    """Seed of every random choice."""
    output: Path = Path("runs/train")
    """Folder that receives config.yaml, checkpoints, curves and best.safetensors."""
    resume: bool = False
    """Go on where an interrupted run in the output folder stopped."""

    augment: AugmentConfig = AugmentConfig()
    optim: OptimConfig = OptimConfig()
    loss: LossConfig = LossConfig()
    decode: DecodeConfig = DecodeConfig()
    trainer: TrainerConfig = TrainerConfig()

    def __post_init__(self) -> None:
        as_url(self.data)  # refuses passwords, before the settings are written anywhere
        require(self, "", "1 or more", at_least_one, "batch_size", "epochs")
        if self.num_segments is not None:
            require(self, "", "1 or more", at_least_one, "num_segments")
        require(self, "", "1 or more", at_least_one, "frame_stride")
        require(self, "", "16 or more", lambda number: number >= 16, "image_size")
        require(self, "", "above 0", lambda number: number > 0, "lr")
        require(self, "", "0 or more and below 1", below_one, "dropout")
        require(self, "", "above 0 and below 1", lambda number: 0 < number < 1, "val_fraction")
