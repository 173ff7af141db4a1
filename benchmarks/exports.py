"""Every network as every kind of file: does the file answer as the network, how long does it take, how large is it.

    python benchmarks/exports.py                                  # all of them: hours; after a kill it goes on
    python benchmarks/exports.py --only 'tin_*' --formats onnx    # some
    python benchmarks/exports.py --anew                           # what was done before is done again

The same functions as in `interlace export` write each file and open it again. Networks have random weights that are
moved away from where training starts, frames are small, clips are blurred noise in batches of 1 and 3; a stream takes
twice as many frames as a clip has. Each network has a process of its own, which leaves its numbers in the folder
--work at once.

of_time                how much of the answer comes from the order of the frames (of a stream: from those before the
                       last), over its largest logit; 0 for networks that see no order, as TSN
relative_difference    of the file's logits to the network's, the largest of all; agrees: it is that of rounding
seconds, megabytes     of tracing and writing, and of what was written
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

import interlace
from interlace.checkpoints import ModelCard
from interlace.export import ClipGraph, StreamGraph, why_not, write_onnx, write_openvino, write_torch_export
from interlace.export.files import SUFFIXES, Format, about_graph
from interlace.export.graph import CANNOT
from interlace.export.network import Network
from interlace.export.parity import compare_answers
from interlace.exported import load_model
from interlace.exported.about import to_metadata
from interlace.exported.open import files_of
from interlace.exported.signal_stack import signal_stack_kept
from interlace.files import whole_file
from interlace.models import VideoModel
from interlace.models.create import parse_name
from interlace.provenance import commit
from moved import blurred_noise, moved_from_start
from timing import Record, commit_of_code, common_options, prepare

NUM_CLASSES, SIZE, NUM_CLIPS = 10, 64, 4
WRITERS: dict[Format, Callable[..., Path]] = {
    "onnx": write_onnx,
    "torch-export": write_torch_export,
    "openvino": write_openvino,
}
LIBRARIES = ("onnx", "onnxscript", "onnxruntime", "openvino")
WORK = Path("runs") / "exports"
Rows = dict[str, dict[str, Any]]
"""Of one form of a network: a row for the network, and one for each format."""


def networks() -> dict[str, dict[str, Any]]:
    """Title to what `create_model` is given. Networks with a detector of regions come a second time, with a grid."""
    found: dict[str, dict[str, Any]] = {}
    for name in interlace.list_models():
        found[name] = {"name": name}
        if parse_name(name)[0] in CANNOT:
            found[f"{name}, proposals grid"] = {"name": name, "proposals": "grid"}
    return found


def why_not_exported(title: str) -> str | None:
    """The reason of a network that cannot be exported."""
    arguments = networks()[title]
    return None if "proposals" in arguments else why_not(arguments["name"])


def card_of(model: VideoModel) -> ModelCard:
    return ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=tuple(f"class {i}" for i in range(NUM_CLASSES)),
        sampling={"name": "segment", "num_segments": model.num_segments},
        preprocessing={
            "image_size": SIZE,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
            "modality": model.modality,
        },
    )


def clips_of_noise(num_frames: int, channels: int) -> Tensor:
    """Clips (N, T, C, S, S) of pixels."""
    noise = blurred_noise(NUM_CLIPS, num_frames, channels, SIZE, torch.Generator().manual_seed(1))
    return (128 + 50 * noise).clamp(0, 255).byte()


def of_time(network: Network, pixels: Tensor, answers: Tensor) -> float:
    """How much the answers are those of another order, or of a stream those without the frames before."""
    other = network.answers(pixels[:, -1:] if network.streaming else pixels.flip(1))
    return compare_answers(answers[:, -1:], other, [""] * len(pixels)).relative_difference


def export_one(
    model: VideoModel, format: Format, network: Network, pixels: Tensor, wanted: Tensor
) -> dict[str, Any]:
    """Write the file, open it, and compare."""
    card = card_of(model)
    with tempfile.TemporaryDirectory() as folder:
        try:
            began = perf_counter()
            graph = (StreamGraph if network.streaming else ClipGraph)(model, pixels=True)
            about = to_metadata(about_graph(graph, SIZE), card)
            path = Path(folder) / f"graph{SUFFIXES[format]}"
            WRITERS[format](graph, graph.example(SIZE), path, metadata=about)
            seconds = perf_counter() - began
            del graph
            with signal_stack_kept():
                exported = Network(load_model(path)[0], card, streaming=network.streaming)
            parity = compare_answers(
                wanted, exported.answers(pixels), [f"clip {i}" for i in range(len(pixels))]
            )
        except (ValueError, RuntimeError) as problem:
            traceback.print_exc()
            reason = " ".join(str(problem).split()).replace(folder, "...")
            return {"why_not": f"{type(problem).__name__}: {reason[:300]}"}
        size = sum(file.stat().st_size for file in files_of(path))
    return {
        "agrees": parity.is_close,
        "max_difference": float(f"{parity.max_difference:.3g}"),
        "relative_difference": float(f"{parity.relative_difference:.3g}"),
        "top1": parity.top1,
        "seconds": round(seconds, 1),
        "megabytes": round(size / 1e6, 2),
    }


def export_all(title: str, formats: list[Format], file: Path) -> None:
    """All that is missing of one network, into its file; one format after the other."""
    torch.manual_seed(0)
    arguments = networks()[title]
    model = moved_from_start(interlace.create_model(num_classes=NUM_CLASSES, **arguments), size=SIZE)
    results = read(file)
    for form in ("clip", "stream") if model.streams else ("clip",):
        rows = results.setdefault(form, {})
        missing = [format for format in formats if format not in rows]
        if not missing:
            continue
        network = Network(model, card_of(model), streaming=form == "stream")
        pixels = clips_of_noise(model.num_segments * (2 if network.streaming else 1), model.in_chans)
        wanted = network.answers(pixels)
        rows["network"] = {
            "of_time": float(f"{of_time(network, pixels, wanted):.3g}"),
            "frames": pixels.shape[1],
            "parameters_m": round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2),
            "commit": commit_of_code(commit()),
        }
        for format in missing:
            rows[format] = export_one(model, format, network, pixels, wanted)
            write(file, results)
            print(f"  {form}, {format}: {rows[format]}", flush=True)
    write(
        file,
        {**results, "done": {"formats": sorted({*formats, *results.get("done", {}).get("formats", [])})}},
    )


def read(file: Path) -> dict[str, Any]:
    """What is known of a network."""
    return dict(json.loads(file.read_text())) if file.exists() else {}


def write(file: Path, results: Mapping[str, Any]) -> None:
    with whole_file(file) as beside:
        beside.write_text(json.dumps(results, indent=1) + "\n")


def in_own_process(title: str, options: argparse.Namespace) -> dict[str, Rows]:
    """Form to rows of one network; what its folder has already is not done again."""
    if reason := why_not_exported(title):
        return {"clip": {"network": {"why_not": reason}}}
    file = options.work / f"{title.replace(', ', '-').replace(' ', '_')}.json"
    if options.anew:
        file.unlink(missing_ok=True)
    ended = ""
    if not set(options.formats) <= set(read(file).get("done", {}).get("formats", [])):
        command = [
            sys.executable,
            __file__,
            "--one",
            title,
            "--file",
            str(file),
            "--formats",
            *options.formats,
        ]
        done = subprocess.run([*command, "--threads", str(options.threads)], check=False)
        ended = f"its process ended with {done.returncode}" if done.returncode else ""
    results = {form: rows for form, rows in read(file).items() if form != "done"} or {"clip": {}}
    for rows in results.values() if ended else ():
        rows.setdefault("network", {})
        for format in options.formats:  # not into the file: the next run tries again
            rows.setdefault(format, {"why_not": ended})
    return results


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument(
        "--only", default="*", metavar="PATTERN", help="of networks' names, e.g. 'tin_*resnet*'"
    )
    parser.add_argument("--formats", nargs="+", choices=WRITERS, default=list(WRITERS))
    parser.add_argument("--work", type=Path, default=WORK, help=f"a file for each network; by default {WORK}")
    parser.add_argument("--anew", action="store_true", help="do again what stands there")
    parser.add_argument("--one", help="export this network here, into --file")
    parser.add_argument("--file", type=Path, help="for --one")
    options = parser.parse_args()
    prepare(options.threads)
    if options.one:
        export_all(options.one, options.formats, options.file)
        return
    titles = [title for title in networks() if fnmatch(title, options.only)]
    if not titles:
        parser.error(f"--only {options.only!r} is no network's name; `interlace models` lists them")
    run = Record("exports")
    run.entry["exporters"] = {library: metadata.version(library) for library in LIBRARIES}
    counts = {
        "files": 0,
        "agree": 0,
        "do not agree": 0,
        "not written": 0,
        "networks that cannot be exported": 0,
    }
    for number, title in enumerate(titles, 1):
        print(f"\n[{number}/{len(titles)}] {title}", flush=True)
        for form, rows in in_own_process(title, options).items():
            if rows["network"].get("commit") == run.entry["commit"]:
                del rows["network"]["commit"]  # what stays is that of an earlier run, gone on with
            run.add(f"{title}, {form}", rows)
            count(rows, counts)
    run.add("all of them", {"count": counts})
    print(f"\nwritten: {run.file.name}")


def count(rows: Rows, counts: dict[str, int]) -> None:
    """Add the files of one network to the counts."""
    counts["networks that cannot be exported"] += "why_not" in rows.get("network", {})
    for format, row in rows.items():
        if format == "network":
            continue
        counts["files"] += 1
        counts["not written"] += "why_not" in row
        counts["agree"] += row.get("agrees") is True
        counts["do not agree"] += row.get("agrees") is False


if __name__ == "__main__":
    main()
