"""The whole files that are damaged: small videos of every kind that PyAV writes here, and real files of this package.

They are written once into a folder and found there again, so that a case is the same when it is run once more.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from moved import moved_from_start

NUM_FRAMES, HEIGHT, WIDTH, FPS = 11, 48, 64, 25
SAMPLE_RATE = 44100
VIDEOS = (
    *(
        "h264 mp4 libx264 aac",
        "fragments mp4 libx264 aac",
        "hevc mkv libx265 flac",
        "mpeg4 mp4 mpeg4 libmp3lame",
    ),
    *(
        "vp8 mkv libvpx libopus",
        "vp9 webm libvpx-vp9 libopus",
        "av1 mp4 libsvtav1 aac",
        "mpeg4 avi mpeg4 libmp3lame",
    ),
    *(
        "mjpeg avi mjpeg pcm_s16le",
        "mjpeg mov mjpeg alac",
        "mpeg1 mpg mpeg1video mp2",
        "mpeg2 ts mpeg2video mp2",
    ),
    *("h264 ts libx264 ac3", "mpeg2 vob mpeg2video ac3", "flv flv flv libmp3lame", "h264 flv libx264 aac"),
    *(
        "wmv wmv wmv2 wmav2",
        "h263 3gp h263 aac",
        "gif gif gif -",
        "prores mov prores pcm_s16le",
        "ffv1 mkv ffv1 flac",
    ),
    *(
        "raw avi rawvideo pcm_u8",
        "huffyuv avi huffyuv adpcm_ima_wav",
        "png mov png pcm_f32le",
        "vp8 ogv libvpx libopus",
    ),
    *("msmpeg4 avi msmpeg4v3 mp2", "msmpeg4 asf msmpeg4 wmav2", "eac3 mkv mpeg4 eac3"),
)
"""NAME SUFFIX CODEC SOUND of each; one that this FFmpeg does not write is left out."""


def write_seeds(folder: Path, kinds: tuple[str, ...], odd_videos: Path | None) -> None:
    """Write the seeds of each kind that is not there yet; a kind is there whole or not at all."""
    writers: dict[str, Callable[[Path], None]] = {
        "video": lambda to: _videos(to, odd_videos),
        "sound": lambda to: _videos(to, None),
        "pictures": _pictures,
        "flow": _flow,
        "annotations": _annotations,
        "checkpoint": _checkpoints,
        "export": _exports,
        "features": _features,
        "clips": _clips,
        "resume": _training_run,
    }
    for kind in ("clips", *kinds) if "resume" in kinds else kinds:
        if not (folder / kind).is_dir():
            part = folder / f".{kind}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            writers[kind](part)
            part.rename(folder / kind)


def _videos(folder: Path, odd_videos: Path | None) -> None:
    for name, suffix, codec, sound in (line.split() for line in VIDEOS):
        path = folder / f"{name}.{suffix}"
        try:
            write_video(path, codec, sound, fragments=name == "fragments")
        except (av.FFmpegError, ValueError, OSError):
            path.unlink(missing_ok=True)
    for file in sorted(odd_videos.iterdir()) if odd_videos is not None else ():
        shutil.copyfile(file, folder / f"odd {file.name}")


def write_video(path: Path, codec: str, sound: str = "-", *, fragments: bool = False) -> None:
    """Eleven small frames with a square that moves, and a second of a tone."""
    options = {"movflags": "frag_keyframe+empty_moov"} if fragments else {}
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(FPS))  # PyAV types it by the codec
        size = (176, 144) if codec == "h263" else (WIDTH, HEIGHT)  # H.263 knows five sizes
        stream.width, stream.height = size
        stream.pix_fmt = (
            "yuv420p" if stream.codec.video_formats is None else stream.codec.video_formats[0].name
        )
        stream.codec_context.gop_size = 5
        stream.codec_context.thread_count = 1
        tone = (
            None
            if sound == "-"
            else container.add_stream(sound, rate=48000 if "opus" in sound else SAMPLE_RATE)
        )
        if tone is not None and sound == "wmav2":
            tone.codec_context.bit_rate = 64000  # it has no default
        for i in range(NUM_FRAMES):
            picture = np.full((size[1], size[0], 3), 20 * i % 250, dtype=np.uint8)
            picture[12:30, 4 * i : 4 * i + 16] = (250, 120, 30)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        if tone is not None:
            _write_tone(container, tone)


def _write_tone(container: av.container.OutputContainer, stream: Any) -> None:
    rate = stream.codec_context.sample_rate
    wave = 8000 * np.sin(np.arange(rate) * 2 * np.pi * 440 / rate)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name, mode in (
        ("png", "RGB"),
        ("jpg", "RGB"),
        ("bmp", "RGB"),
        ("webp", "RGBA"),
        ("gray.png", "I;16"),
        ("p.png", "P"),
    ):
        suffix = name.rsplit(".", maxsplit=1)[-1]
        (folder / name).mkdir()
        for i in range(4):
            values = rng.integers(0, 256, (20, 28, 3), dtype=np.uint8)
            image = Image.fromarray(values[..., 0].astype(np.uint16) * 200 if mode == "I;16" else values)
            exif = Image.Exif()
            exif[0x0112] = 6
            more: dict[str, Any] = {"exif": exif} if suffix in ("jpg", "webp") else {}
            (image if mode == "I;16" else image.convert(mode)).save(
                folder / name / f"img_{i + 1:05d}.{suffix}", **more
            )


def _flow(folder: Path) -> None:
    from interlace.data.flow_folder import ABOUT

    video = folder / "clip"
    video.mkdir()
    for i in range(4):
        for axis in "xy":
            Image.fromarray(np.full((20, 28), 128 + i, np.uint8)).save(video / f"flow_{axis}_{i + 1:05d}.jpg")
    about = {"method": "dis", "pts_seconds": [0.0, 0.1, 0.2, 0.3, 0.4], "fps": 10.0, "duration_seconds": 0.5}
    (video / ABOUT).write_text(json.dumps({**about, "source": {"bytes": 100}}))


ANNOTATIONS = {
    "csv.csv": 'path,label,start,end\nrun/a.mp4,run,0,1.5\nwalk/b c.mp4,"walk, slowly",,\nrun/a.mp4,run;jump,1,2\n',
    "kinetics.csv": "label,youtube_id,time_start,time_end,split\nrun,abc,0,10,train\nwalk up,def,5,15,val\n",
    "tsn.txt": "run/a.mp4 24 0\nwalk/b c.mp4 12 1\n41 7 0\n",
    "something_v1.csv": "41;Pushing something\n42;Pulling something\n",
    "jester_train.csv": "41;Swiping Left\n42;Thumb Up\n",
    "something_v2.json": '[{"id": "41", "template": "Pushing [something]"},\n {"id": "42", "template": "Pulling"}]\n',
    "ucf101.txt": "run/a.avi 1\nwalk/b.avi 2\n",
    "run_test_split1.txt": "a.avi 1\nb.avi 2\nc.avi 0\n",
    "classInd.txt": "1 run\n2 walk\n",
    "names.json": '{"Pushing something": "0", "Pulling": "1"}\n',
    "ave.txt": "Category&VideoID&Quality&StartTime&EndTime\nBark&abc&good&7&9\nHorn&def&good&0&10\n",
    "events.csv": "path,event,start,end\nyard/a.mp4,bark,2,4.5\nyard/b.mp4,,,\nyard/a.mp4,bark,7,8\n",
}
CLIPS = (
    "run/a.mp4",
    "walk/b c.mp4",
    "run/a.avi",
    "run/b.avi",
    "walk/b.avi",
    "abc_000000_000010.mp4",
    "def.mp4",
)


def _annotations(folder: Path) -> None:
    for name, text in ANNOTATIONS.items():
        (folder / name).write_text(text, encoding="utf-8")


TIN, CAUSAL = "tin_test_resnet", "tsm_causal_test_resnet"


def _checkpoints(folder: Path) -> None:
    import interlace
    from interlace.audiovisual.models.localizer import EventLocalizer
    from interlace.audiovisual.tasks.event_checkpoint import EventCard, save_event_model
    from interlace.checkpoints import ModelCard, save_checkpoint

    torch.manual_seed(0)
    for name in (TIN, CAUSAL):
        # Weights away from where training starts: an export of answers that are all but zero is refused.
        model = moved_from_start(interlace.create_model(name, num_classes=3, num_segments=2))
        card = ModelCard(
            model=model.builder,
            model_args=model.builder_args,
            labels=("run", "walk", "jump"),
            sampling={"name": "segment", "num_segments": 2},
            preprocessing={
                "image_size": 32,
                "mean": list(model.mean),
                "std": list(model.std),
                "color": "rgb",
            },
            window_seconds=1.0,
        )
        save_checkpoint(folder / f"{name}.safetensors", model, card)
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, folder / "released.pth")
    network = EventLocalizer(audio_features=3, visual_features=5, num_events=2, width=4)
    save_event_model(
        folder / "events.safetensors",
        network,
        EventCard("sel", "dam", network.builder_args, ("bark", "horn")),
    )


def _exports(folder: Path) -> None:
    from interlace.data.annotations import Annotations, Sample
    from interlace.export.export import export

    made = folder / "checkpoints"
    made.mkdir()
    _checkpoints(made)
    video = made / "clip.mp4"
    write_video(video, "mpeg4")
    clips = Annotations((Sample(video, (0,)),), ("run", "walk", "jump"), "one")
    for name, suffix in ((TIN, "onnx"), (CAUSAL, "onnx"), (TIN, "xml"), (TIN, "pt2")):
        output, streaming = folder / f"{name}.{suffix}", name == CAUSAL
        export(made / f"{name}.safetensors", output, streaming=streaming, clips=clips, num_clips=1, rounds=1)
    shutil.rmtree(made)


def _features(folder: Path) -> None:
    from interlace.audiovisual import Timeline, TimelineSet
    from interlace.audiovisual.features.extractor import Features
    from interlace.audiovisual.features.feature_file import write_features
    from interlace.audiovisual.timelines.timeline_file import save_timelines

    features = Features(torch.ones(2, 3), torch.ones(2, 1, 5), torch.tensor([True, False]), ("short",), 1.8)
    write_features(folder / "clip.mp4.safetensors", features, extractor="0123", source={"bytes": 7})
    timelines = tuple(
        Timeline(f"{i}.mp4", torch.rand(4, 3), torch.rand(4, 1, 5), 0, torch.ones(4).bool()) for i in range(2)
    )
    save_timelines(folder / "timelines.safetensors", TimelineSet(("bark",), timelines))


def _clips(folder: Path) -> None:
    for label in ("run", "walk"):
        (folder / label).mkdir()
        for i in range(3):
            write_video(folder / label / f"{i}.mp4", "mpeg4")


def _training_run(folder: Path) -> None:
    from fuzzing.resumed import train_tiny

    train_tiny(folder.parent / "clips", folder / "run")
    (folder / "run" / "last.safetensors").unlink()  # which says that the run is complete
    settings = folder / "run" / "config.yaml"
    settings.write_text(settings.read_text().replace("epochs: 1", "epochs: 2"))
