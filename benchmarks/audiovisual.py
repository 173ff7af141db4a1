"""The audio-visual path, from a video file to a labeled timeline, as a share of real time.

    python benchmarks/audiovisual.py                          # two to three minutes, most of it VGG-19
    python benchmarks/audiovisual.py --visual resnet50        # other networks of the picture
    python benchmarks/audiovisual.py --threads 1 --clock cpu  # on a machine that others use meanwhile

A clip of 10 s is made here (640 x 360 H.264 at 30 frames a second, stereo AAC at 44.1 kHz). Each part gets what
the part before it gives, by the same calls as `interlace av`; `whole` is an `EventRecognizer` on the file. Weights
are random: they do not change the time. ``of_clip`` is the median over the clip's length: below 1 is faster than
real time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor, nn

from interlace.allocator import keep_freed_memory
from interlace.audiovisual import Timeline, collate
from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import FRAMES_PER_FORWARD, Extractor
from interlace.audiovisual.features.seconds import read_seconds
from interlace.audiovisual.features.visual_features import VisualExtractor, create_visual_extractor
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.matcher import CrossModalMatcher
from interlace.audiovisual.prediction.localize_file import EventRecognizer
from interlace.audiovisual.tasks.event_checkpoint import EventCard, save_event_model
from interlace.data import video
from interlace.data.audio import read_seconds_of_sound
from timing import Record, common_options, compare, prepare, stopwatch

SECONDS, FPS, RATE_HZ = 10, 30, 44_100
VISUAL = ("mobilenetv2_100", "resnet18", "tin_resnet18", "vgg19")
DEFAULT_VISUAL = "mobilenetv2_100"
"""Of `interlace av features`, beside VGGish."""
AUDIO_FEATURES, PLACES, VISUAL_FEATURES, EVENTS = 128, 49, 512, 28
"""What DAM gets of VGGish and VGG-19, and the events of AVE."""

Calls = dict[str, Callable[[], Any]]


def make_clip(path: Path, *, seconds: int = SECONDS, width: int = 640, height: int = 360) -> Path:
    """A texture that moves, and noise that swells and fades; picture and sound lie in the file side by side."""
    rng = np.random.default_rng(0)
    rows, columns = height + 2 * FPS * seconds, width + 3 * FPS * seconds
    coarse = rng.integers(0, 255, (rows // 16 + 1, columns // 16 + 1, 3), dtype=np.uint8)
    texture = coarse.repeat(16, 0).repeat(16, 1)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        for second in range(seconds):
            for i in range(second * FPS, (second + 1) * FPS):
                shown = np.ascontiguousarray(texture[2 * i : 2 * i + height, 3 * i : 3 * i + width])
                container.mux(picture.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
            swell = np.sin(np.pi * np.arange(RATE_HZ) / RATE_HZ)
            noise = (0.3 * swell * rng.standard_normal((2, RATE_HZ))).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            heard.sample_rate, heard.pts, heard.time_base = RATE_HZ, second * RATE_HZ, Fraction(1, RATE_HZ)
            container.mux(sound.encode(heard))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return path


def sound_parts(clip: Path, seconds: int, device: str) -> Calls:
    """Decoding, and the features of what was decoded."""
    heard = {name: create_audio_extractor(name, pretrained=False) for name in ("log_mel", "vggish")}
    rate = heard["vggish"].sample_rate_hz

    def decode() -> Tensor:
        return read_seconds_of_sound(clip, sample_rate_hz=rate, num_seconds=seconds).samples

    samples = decode().to(device)
    return {"decode sound": decode, **{name: on(net, samples, device) for name, net in heard.items()}}


def picture_parts(clip: Path, networks: Mapping[str, VisualExtractor], device: str) -> Calls:
    """Decoding with cropping and resizing, once for each number of frames a second; the features of these frames."""
    calls: Calls = {}
    for name, network in networks.items():

        def decode(network: VisualExtractor = network) -> Tensor:
            with video.open(clip, color=network.color, short_side=network.short_side) as reader:
                return torch.stack(list(read_seconds(reader, network.frames_per_second, network.prepare)))

        calls[f"decode {network.frames_per_second} frames a second"] = decode
        at_once = max(1, FRAMES_PER_FORWARD // network.frames_per_second)
        calls[name] = on(network, decode().to(device), device, at_once)
    return calls


def on(
    network: nn.Module, rows: Tensor, device: str, rows_at_once: int | None = None
) -> Callable[[], Tensor]:
    """A call that gives the features of all seconds, some at a time."""
    network = network.to(device).eval()
    batches = rows.split(rows_at_once or len(rows))

    @torch.inference_mode()
    def features() -> Tensor:
        return torch.cat([network(batch) for batch in batches])

    return features


def forward_parts(device: str) -> Calls:
    """DAM on a clip's features as published, 7 x 7 places: all labels (SEL), and both starts of a match (CML)."""
    chance = torch.Generator().manual_seed(0)
    audio = torch.rand(SECONDS, AUDIO_FEATURES, generator=chance)
    visual = torch.rand(SECONDS, PLACES, VISUAL_FEATURES, generator=chance)
    relevant = torch.arange(SECONDS) >= SECONDS - 3
    batch = collate([Timeline("clip", audio, visual, 0, relevant)]).to(device)
    sizes: dict[str, Any] = {
        "audio_features": AUDIO_FEATURES,
        "visual_features": VISUAL_FEATURES,
        "num_events": EVENTS,
    }
    localizer = EventLocalizer(**sizes).to(device).eval()
    matcher = CrossModalMatcher(**sizes).to(device).eval()
    return {
        "dam, sel": lambda: localizer.localize(batch),
        "dam, cml, A2V and V2A": lambda: (matcher.starts(batch, "audio"), matcher.starts(batch, "visual")),
    }


def whole_part(clip: Path, extractor: Extractor, device: str) -> Calls:
    """An `EventRecognizer` on the file; its checkpoint lies beside the clip."""
    visual = extractor.visual
    second = torch.zeros(
        1, visual.frames_per_second, 3, visual.image_size, visual.image_size, dtype=torch.uint8
    )
    network = EventLocalizer(
        audio_features=extractor.audio.num_features,
        visual_features=visual(second).shape[2],
        num_events=EVENTS,
    )
    labels = tuple(f"event {i}" for i in range(EVENTS))
    card = EventCard("sel", "dam", network.builder_args, labels, extractor.spec)
    saved = save_event_model(clip.with_name("dam.safetensors"), network, card, extractor)
    recognizer = EventRecognizer(saved, device=device)
    return {"whole": lambda: recognizer(clip)}


def default_extractor() -> Extractor:
    """That of `interlace av features`."""
    heard = create_audio_extractor("vggish", pretrained=False)
    return Extractor(heard, create_visual_extractor(DEFAULT_VISUAL))


def cpu_ms(run: Callable[[], Any]) -> float:
    """Milliseconds of all processors that this process used; where it has one thread, those of a quiet machine."""
    start = time.process_time()
    run()
    return 1000 * (time.process_time() - start)


def as_shares(rows: Mapping[str, Mapping[str, float]], seconds: float) -> dict[str, dict[str, float]]:
    """Beside each time, the share of the clip's length; not the ratios to each other, which say nothing here."""
    return {
        name: {
            **{key: value for key, value in row.items() if key != "ratio"},
            "seconds": round(row["median_ms"] / 1000, 5),
            "of_clip": round(row["median_ms"] / 1000 / seconds, 6),
        }
        for name, row in rows.items()
    }


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--visual", nargs="+", default=list(VISUAL), help="networks that see the frames")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor time of this process"
    )
    options = parser.parse_args()
    prepare(options.threads)
    keep_freed_memory()  # as `interlace av` does
    run = Record("audiovisual", device=options.device)
    run.entry["clock"] = options.clock
    measure = cpu_ms if options.clock == "cpu" else stopwatch(options.device)
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4")
        for case, make_calls, calls in cases(clip, options):
            print(f"{case} ...", flush=True)
            warmup = 0 if "vgg19" in case else 1  # a forward of it is a warm-up by itself
            rows = compare(make_calls(), rounds=options.rounds, warmup=warmup, calls=calls, measure=measure)
            run.add(case, as_shares(rows, SECONDS))


def cases(clip: Path, options: argparse.Namespace) -> list[tuple[str, Callable[[], Calls], int]]:
    """Name, what is timed in turn, and calls in a measurement."""
    device = options.device

    def networks(slow: bool) -> dict[str, VisualExtractor]:
        chosen = [name for name in options.visual if (name == "vgg19") == slow]
        return {name: create_visual_extractor(name) for name in chosen}

    found = [
        ("sound", lambda: sound_parts(clip, SECONDS, device), 1),
        ("picture", lambda: picture_parts(clip, networks(slow=False), device), 1),
        ("picture, vgg19", lambda: picture_parts(clip, networks(slow=True), device), 1),
        ("dam, VGGish and VGG-19 features", lambda: forward_parts(device), 20),
        (
            f"whole, VGGish and {DEFAULT_VISUAL}",
            lambda: whole_part(clip, default_extractor(), device),
            1,
        ),
    ]
    empty = {"picture, vgg19": "vgg19" not in options.visual, "picture": options.visual == ["vgg19"]}
    return [case for case in found if not empty.get(case[0], False)]


if __name__ == "__main__":
    main()
