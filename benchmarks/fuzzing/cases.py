"""Case number N of a seed: which whole files it takes, and how they are damaged; the same every time."""

from __future__ import annotations

import io
import json
import random
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzing.mutations import mutated
from fuzzing.seeds import ANNOTATIONS, CLIPS
from fuzzing.texts import mutated_json, mutated_text

SHARES = {
    "video": 36,
    "sound": 12,
    "pictures": 10,
    "flow": 4,
    "annotations": 18,
    "checkpoint": 10,
    "export": 6,
    "features": 3,
    "resume": 1,
}
"""Cases of each kind in a hundred."""
CAN_BE_LARGE = 300_000
"""Bytes; larger seeds are taken a tenth as often, for they take the time of ten."""


@dataclass(frozen=True)
class Case:
    """One damaged file (or folder) and what is known of it."""

    number: int
    kind: str
    path: Path
    """What is to be opened."""
    source: str
    steps: tuple[str, ...]


def make_case(number: int, seed: int, seeds: Path, folder: Path, kinds: tuple[str, ...]) -> Case:
    """Write the damaged file into an empty folder."""
    rng = random.Random(f"{seed} {number}")
    kind = rng.choices(kinds, [SHARES[kind] for kind in kinds])[0]
    makers = {
        "pictures": _picture_folder,
        "flow": _picture_folder,
        "annotations": _annotation_file,
        "export": _exported_file,
        "resume": _run_folder,
    }
    path, source, steps = makers.get(kind, _one_file)(seeds / kind, folder, rng)
    return Case(number, kind, path, source, tuple(steps))


def _choose(files: list[Path], rng: random.Random) -> Path:
    weights = [0.1 if file.stat().st_size > CAN_BE_LARGE else 1.0 for file in files]
    return rng.choices(files, weights)[0]


def _one_file(seeds: Path, folder: Path, rng: random.Random) -> tuple[Path, str, list[str]]:
    files = sorted(file for file in seeds.iterdir() if file.is_file())
    file, other = _choose(files, rng), _choose(files, rng)
    content = file.read_bytes()
    if file.suffix == ".safetensors" and rng.random() < 0.6:
        after, steps = _other_header(content, rng), ["header"]
    else:
        after, steps = mutated(content, other.read_bytes(), rng)
    path = folder / file.name
    path.write_bytes(after)
    return path, file.name, steps


def _other_header(content: bytes, rng: random.Random) -> bytes:
    """Another JSON header of a .safetensors file, whose length is right: the card, or where the tensors lie."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header["__metadata__"]
    cards = [key for key, text in metadata.items() if text[:1] in "{["]
    if cards and rng.random() < 0.75:
        key = rng.choice(cards)
        card = mutated_json(json.loads(metadata[key]), rng)
        metadata[key] = json.dumps(card)
    else:
        header = mutated_json(header, rng)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _picture_folder(seeds: Path, folder: Path, rng: random.Random) -> tuple[Path, str, list[str]]:
    """One or two pictures are damaged, gone, or have another name."""
    source = rng.choice(sorted(seeds.iterdir()))
    path = folder / source.name
    shutil.copytree(source, path)
    steps = []
    for _ in range(rng.choice((1, 1, 2))):
        files = sorted(file for file in path.iterdir() if file.is_file())
        if not files:
            break
        file, other, lot = rng.choice(files), rng.choice(files), rng.random()
        if file.suffix == ".json":
            content = json.dumps(mutated_json(json.loads(file.read_bytes()), rng)) if lot < 0.7 else "{"
            file.write_text(content)
            steps.append("json")
        elif lot < 0.7:
            after, done = mutated(file.read_bytes(), other.read_bytes(), rng)
            file.write_bytes(after)
            steps += done
        elif lot < 0.8:
            file.unlink()
            steps.append("remove")
        elif lot < 0.9:
            numbers = (
                "00000",
                "99999999999999999999",
                "1",
                "0000000003",
                "٣",
                "-1",
                "00001 copy",
                "",
                "200000",
            )
            file.rename(file.with_stem(file.stem[:-5] + rng.choice(numbers)))
            steps.append("rename")
        else:
            file.unlink()
            file.mkdir()
            steps.append("folder")
    return path, source.name, steps


def _annotation_file(seeds: Path, folder: Path, rng: random.Random) -> tuple[Path, str, list[str]]:
    """A list beside the clips that it names; its label file, where it has one, may be the damaged one."""
    for clip in CLIPS:
        (folder / clip).parent.mkdir(parents=True, exist_ok=True)
        (folder / clip).touch()
    for number in ("41", "42"):
        (folder / number).mkdir()
        (folder / f"{number}.webm").touch()
    name = rng.choice(sorted(ANNOTATIONS))
    beside = {"ucf101.txt": "classInd.txt", "something_v2.json": "names.json"}.get(name)
    for file in filter(None, (name, beside)):
        shutil.copyfile(seeds / file, folder / file)
    path = folder / name
    if path.suffix == ".json" and rng.random() < 0.5:
        path.write_text(json.dumps(mutated_json(json.loads(path.read_bytes()), rng)))
        return path, name, ["json"]
    if rng.random() < 0.75:
        path.write_bytes(mutated_text(path.read_text(encoding="utf-8"), rng))
        return path, name, ["text"]
    after, steps = mutated(path.read_bytes(), (seeds / rng.choice(sorted(ANNOTATIONS))).read_bytes(), rng)
    path.write_bytes(after)
    return path, name, steps


def _exported_file(seeds: Path, folder: Path, rng: random.Random) -> tuple[Path, str, list[str]]:
    """An .onnx, .pt2 or .xml, damaged as bytes or in what it says of itself; or the .bin of an .xml."""
    files = sorted(file for file in seeds.iterdir() if file.suffix in (".onnx", ".pt2", ".xml"))
    file = rng.choice(files)
    path = folder / file.name
    shutil.copyfile(file, path)
    if file.suffix == ".xml":
        shutil.copyfile(file.with_suffix(".bin"), path.with_suffix(".bin"))
    lot = rng.random()
    if file.suffix == ".pt2" and lot < 0.8:
        return path, file.name, [_other_part(path, rng)]
    if file.suffix == ".onnx" and lot < 0.5:
        return path, file.name, [_other_properties(path, rng)]
    if file.suffix == ".xml" and lot < 0.6:
        path.write_bytes(mutated_text(path.read_text(encoding="utf-8"), rng))
        return path, file.name, ["text"]
    struck = path.with_suffix(".bin") if file.suffix == ".xml" and lot < 0.75 else path
    after, steps = mutated(struck.read_bytes(), rng.choice(files).read_bytes(), rng)
    struck.write_bytes(after)
    return path, file.name, [*steps, struck.suffix]


def _other_part(path: Path, rng: random.Random) -> str:
    """One part of a .pt2 file is another, within a whole archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as after:
        parts = archive.infolist()
        struck = rng.choice(
            [part for part in parts if part.filename.endswith((".json", "interlace", "interlace_graph"))]
            or parts
        )
        for part in parts:
            content = archive.read(part)
            if part is struck and content[:1] in (b"{", b"[") and rng.random() < 0.8:
                content = json.dumps(mutated_json(json.loads(content), rng)).encode()
            elif part is struck:
                content = mutated(content, b"", rng)[0]
            after.writestr(part.filename, content)
    path.write_bytes(target.getvalue())
    return f"part {struck.filename.partition('/')[2]}"


def _other_properties(path: Path, rng: random.Random) -> str:
    """The metadata of an .onnx file, or the sizes of what its graph takes and gives."""
    import onnx

    model = onnx.load(path)
    if rng.random() < 0.7:
        entry = rng.choice(model.metadata_props)
        value: Any = mutated_json(json.loads(entry.value), rng) if entry.value[:1] == "{" else None
        entry.value = json.dumps(value) if value is not None else ""
    else:
        port = rng.choice([*model.graph.input, *model.graph.output])
        size = rng.choice(port.type.tensor_type.shape.dim)
        size.dim_value = rng.choice((0, 1, 2, 7, 2**31, 2**62, -1))
    path.write_bytes(model.SerializeToString())
    return "properties"


def _run_folder(seeds: Path, folder: Path, rng: random.Random) -> tuple[Path, str, list[str]]:
    """A run to go on with, whose last.ckpt is damaged."""
    path = folder / "run"
    shutil.copytree(seeds / "run", path)
    file = path / "last.ckpt"
    after, steps = mutated(file.read_bytes(), b"", rng)
    file.write_bytes(after)
    return path, file.name, steps
