"""The folder of a run: never overwritten, and gone on with only under the settings that began it."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from interlace.card_history import FORMAT, arguments_today
from interlace.data.transforms import SCALES
from interlace.files import whole_file
from interlace.models.create import parse_name
from interlace.models.methods import METHODS
from interlace.provenance import provenance
from interlace.training.config import TrainConfig
from interlace.training.launch import process_rank

# All else changes the weights that come out, or what they are compared by.
FREE_TO_CHANGE = {
    "output",
    "resume",
    "decode.cache",
    "decode.cache_gigabytes",
    "trainer.num_workers",
    "trainer.checkpoint_minutes",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.timeout_minutes",
    # With another number of devices batch_size too: a step must have as many clips as before.
    "trainer.devices",
    "trainer.num_nodes",
}


def open_run_folder(config: TrainConfig, *, device: str) -> Path | None:
    """Make the folder and write config.yaml and environment.json, or find the checkpoint to go on from.

    Args:
        config: the run.
        device: what the run is on, for environment.json.

    Returns:
        last.ckpt if the run goes on, None if it begins.

    Raises:
        ValueError: the folder holds a run and ``resume`` is off, or the settings are not those that began it.
    """
    folder, checkpoint = config.output, config.output / "last.ckpt"
    if process_rank() > 0:  # the first process checks and writes for all
        return checkpoint if config.resume and checkpoint.exists() else None
    written, settings = folder / "config.yaml", to_plain(asdict(config))
    if checkpoint.exists() or (folder / "best.safetensors").exists():
        if not config.resume:
            raise ValueError(
                f"{folder} holds a run already; go on with it by --resume true, or choose another --output"
            )
        defaults = to_plain(asdict(TrainConfig(data=config.data)))
        begun = filled(yaml.safe_load(written.read_text()), defaults)
        _require_same(chosen(begun), chosen(settings), written)
        _require_same_network(config)
    folder.mkdir(parents=True, exist_ok=True)
    resumes = checkpoint.exists()
    if not resumes:
        with whole_file(written) as beside:
            beside.write_text(yaml.safe_dump(settings, sort_keys=False))
    about = folder / ("environment_resumed.json" if resumes else "environment.json")
    with whole_file(about) as beside:
        facts = {**provenance(), "device": device, "format": FORMAT}
        beside.write_text(json.dumps(facts, indent=2) + "\n")
    return checkpoint if resumes else None


def require_whole(checkpoint: Path) -> None:
    """Compare last.ckpt with the sums in it, and see that it holds nothing but numbers; it is not loaded yet.

    Raises:
        ValueError: it is damaged, or would have code run.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from interlace.training.run_folder import require_whole
        >>> checkpoint = Path(tempfile.mkdtemp()) / "last.ckpt"
        >>> torch.save({"epoch": 3}, checkpoint)
        >>> require_whole(checkpoint)
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            damaged = archive.testzip()
        if damaged is None:
            torch.load(checkpoint, map_location="meta", mmap=True, weights_only=True)
    except Exception as error:  # each kind of damage raises something else
        code = re.search(r"GLOBAL ([\w.]+)", f"{error}")  # PyTorch explains it at length
        damaged = f"it would run {code[1]}" if code else f"{error}".partition("\n")[0]
    if damaged is not None:
        raise ValueError(
            f"{checkpoint}: damaged ({damaged}), so the run cannot go on; restore it from a copy, or begin a new "
            "run with another --output (best.safetensors beside it can be used as it is)"
        )


def to_plain(value: Any) -> Any:
    """A value as YAML and JSON know it: paths as strings, tuples as lists.

    Example:
        >>> from pathlib import Path
        >>> from interlace.training.run_folder import to_plain
        >>> to_plain({"data": Path("clips"), "scales": (1.0, 0.5)})
        {'data': 'clips', 'scales': [1.0, 0.5]}
    """
    if isinstance(value, dict):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def filled(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Nested settings with those that were not there when they were written.

    Example:
        >>> from interlace.training.run_folder import filled
        >>> filled({"lr": 2, "optim": {}}, {"lr": 1, "optim": {"momentum": 0.9}, "flow": "dis"})
        {'lr': 2, 'optim': {'momentum': 0.9}, 'flow': 'dis'}
    """
    return {
        name: filled(settings.get(name, {}), default)
        if isinstance(default, dict) and default
        else settings.get(name, default)
        for name, default in defaults.items()
    } | {name: value for name, value in settings.items() if name not in defaults}


def chosen(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings with a number wherever the network chooses it, as they were written once.

    Example:
        >>> from interlace.training.run_folder import chosen
        >>> settings = {"model": "i3d_resnet50", "num_segments": None, "modality": "flow", "augment": {}}
        >>> chosen(settings)["num_segments"]
        32
    """
    method = METHODS.get(parse_name(settings["model"])[0])
    if method is None:  # an ensemble, which there was not then
        return settings
    num_segments, augment = settings["num_segments"], dict(settings["augment"])
    if num_segments is None:
        num_segments = method.num_segments
    if augment.get("crop_scales") is None and settings["modality"] in ("auto", "rgb"):
        augment["crop_scales"] = list(SCALES)
    return {**settings, "num_segments": num_segments, "augment": augment}


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(field, old value, new value) wherever two nested settings differ.

    Example:
        >>> from interlace.training.run_folder import differences
        >>> list(differences({"optim": {"momentum": 0.9}, "lr": 1}, {"optim": {"momentum": 0.8}, "lr": 1}))
        [('optim.momentum', 0.9, 0.8)]
    """
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name}", before, after


def _require_same(old: dict[str, Any], new: dict[str, Any], written: Path) -> None:
    changed = [change for change in differences(old, new) if change[0] not in FREE_TO_CHANGE]
    if _devices(old) != _devices(new):
        _require_same_steps(old, new, written)
        changed = [change for change in changed if change[0] != "batch_size"]
    if changed:
        listed = "; ".join(f"{name} was {before!r} and is {after!r} now" for name, before, after in changed)
        hint = (
            "; the schedule ends at the last epoch, so a longer run is another run"
            if _has_epochs(changed)
            else ""
        )
        raise ValueError(
            f"cannot go on with {written.parent}: {listed}{hint}; "
            f"give the settings of {written}, or begin a new run with another --output"
        )


def _require_same_network(config: TrainConfig) -> None:
    """The same words may have meant another network when the run began."""
    about = config.output / "environment.json"
    meant = arguments_today(config.model, config.model_args, _format_of(about))
    if meant != config.model_args:
        raise ValueError(
            f"cannot go on with {config.output}: an earlier version of interlace began it, in which {config.model} was "
            f"another network; go on with that version, or begin a new run with another --output and, to have the "
            f"same network, --model_args '{json.dumps(meant)}'"
        )


def _format_of(about: Path) -> int:
    """Which format of checkpoints a run writes; those of before they were numbered have none told."""
    if not about.exists():
        return 1
    try:
        return int(json.loads(about.read_text()).get("format", 1))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{about}: damaged ({error}), so it is not known which network the run began with; restore it from a copy, "
            "or begin a new run with another --output"
        ) from error


def _require_same_steps(old: dict[str, Any], new: dict[str, Any], written: Path) -> None:
    before, after = _devices(old), _devices(new)
    clips = before * old["batch_size"]
    if clips == after * new["batch_size"]:
        return
    told = f"cannot go on with {written.parent}: a step had {clips} clips ({before} x {old['batch_size']})"
    if clips % after:
        possible = [number for number in range(1, clips + 1) if clips % number == 0]
        raise ValueError(f"{told}, which {after} devices cannot share; take one of {possible} devices")
    raise ValueError(f"{told}; on {after} devices give --batch_size {clips // after}")


def _devices(settings: dict[str, Any]) -> int:
    return int(settings["trainer"]["devices"] * settings["trainer"]["num_nodes"])


def _has_epochs(changed: list[tuple[str, Any, Any]]) -> bool:
    return any(name == "epochs" for name, _, _ in changed)
