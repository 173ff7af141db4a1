from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.audiovisual.features.audio_features import create_audio_extractor
from interlace.audiovisual.features.extractor import Extractor, save_extractor
from interlace.audiovisual.models.baselines import CorrelationMatcher, SegmentClassifier
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.matcher import CrossModalMatcher
from interlace.audiovisual.prediction.event_prediction import BACKGROUND, MATCH, EventQuery
from interlace.audiovisual.prediction.localize_file import EventRecognizer
from interlace.audiovisual.timelines.timeline import Timeline, collate
from interlace.data.video import VideoError

LABELS = ("bark", "horn")


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    small_extractor: Extractor,
    make_film: Callable[..., Path],
    save_network: Callable[..., Any],
) -> Path:
    """A film, and a checkpoint of each kind."""
    root = tmp_path_factory.mktemp("films")
    make_film(root / "a.mkv")
    save_network(root / "sel.safetensors", EventLocalizer, "sel", "dam", small_extractor)
    save_network(root / "cml.safetensors", CrossModalMatcher, "cml", "dam", small_extractor)
    save_network(root / "concat.safetensors", SegmentClassifier, "sel", "concat", small_extractor)
    return root


def test_a_file_is_labelled_by_what_the_network_makes_of_its_own_sound_and_picture(
    folder: Path, small_extractor: Extractor
) -> None:
    recognizer = EventRecognizer(folder / "sel.safetensors", device="cpu")
    assert repr(recognizer) == "EventRecognizer(dam, sel, 2 events, cpu)"
    found = recognizer(folder / "a.mkv")
    features = small_extractor.features_of(folder / "a.mkv")
    assert features.audio[1].sum() > 1 > features.audio[0].sum()  # the tone is in its second
    batch = collate([Timeline("a", features.audio, features.visual, -1, torch.zeros(4).bool())])
    network = recognizer.network
    expected = network.localize(batch)
    assert found.relevance == pytest.approx(expected.relevance[0].tolist())
    assert found.heard == pytest.approx(expected.heard[0].tolist())
    assert found.seen == pytest.approx(expected.seen[0].tolist())
    assert found.labels == tuple((*LABELS, BACKGROUND)[label] for label in expected.labels[0].tolist())
    assert dict(found.scores) == pytest.approx(
        dict(zip(LABELS, expected.event_scores[0].tolist(), strict=True))
    )
    assert [score for _, score in found.scores] == sorted((score for _, score in found.scores), reverse=True)
    assert (found.duration_seconds, found.has_sound, found.notes) == (4.0, (True,) * 4, ())
    assert found == recognizer(folder / "a.mkv")


def test_what_the_network_says_becomes_labels(folder: Path) -> None:
    recognizer = EventRecognizer(folder / "sel.safetensors", device="cpu")
    last = recognizer.network.classify[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.0, math.log(3.0)])  # 3 to 1 for a horn, whatever is seen and heard
    found = recognizer(folder / "a.mkv")
    assert found.scores == (("horn", pytest.approx(0.75)), ("bark", pytest.approx(0.25)))
    assert found.relevance is not None
    assert found.labels == tuple("horn" if p >= 0.5 else BACKGROUND for p in found.relevance)


def test_networks_without_matching_have_a_relevance_only(folder: Path) -> None:
    found = EventRecognizer(folder / "concat.safetensors", device="cpu")(folder / "a.mkv")
    assert (found.heard, found.seen, len(found.relevance or ())) == (None, None, 4)


@pytest.mark.parametrize(
    ("modality", "asked", "unasked"), [("audio", "seen", "heard"), ("visual", "heard", "seen")]
)
def test_a_query_finds_a_window_as_long_in_the_other_modality(
    folder: Path, small_extractor: Extractor, modality: str, asked: str, unasked: str
) -> None:
    recognizer = EventRecognizer(folder / "cml.safetensors", device="cpu")
    found = recognizer(folder / "a.mkv", query=EventQuery(modality, 1.0, 3.0))  # type: ignore[arg-type]
    features = small_extractor.features_of(folder / "a.mkv")
    region = torch.tensor([False, True, True, False])
    log_odds = recognizer.network.relevance(
        collate([Timeline("a", features.audio, features.visual, 0, region)]), modality
    )[0].detach()
    assert getattr(found, asked) == pytest.approx(log_odds.sigmoid().tolist())
    assert (getattr(found, unasked), found.relevance, found.fit) == (None, None, None)
    sums = [float(log_odds[start : start + 2].sum()) for start in range(3)]
    best = sums.index(max(sums))
    assert found.labels == tuple(MATCH if best <= k < best + 2 else BACKGROUND for k in range(4))


def test_scores_that_are_no_probabilities_are_told_as_they_are(
    folder: Path, small_extractor: Extractor, save_network: Callable[..., Any]
) -> None:
    network = save_network(folder / "cca.safetensors", CorrelationMatcher, "cml", "cca", small_extractor)
    torch.manual_seed(0)
    for name in ("audio_map", "visual_map"):
        torch.nn.init.normal_(getattr(network, name))
    recognizer = EventRecognizer(folder / "cca.safetensors", device="cpu")
    recognizer.network = network
    found = recognizer(folder / "a.mkv", query=EventQuery("visual", 1.0, 2.0))
    assert found.fit is not None
    assert all(-1 <= value <= 1 for value in found.fit)
    assert found.labels.index(MATCH) == found.fit.index(max(found.fit))
    assert (found.heard, found.seen) == (None, None)


def test_a_film_without_sound(folder: Path, tmp_path: Path, make_film: Callable[..., Path]) -> None:
    silent = make_film(tmp_path / "silent.mkv", has_sound=False)
    found = EventRecognizer(folder / "sel.safetensors", device="cpu")(silent)
    assert found.has_sound == (False,) * 4
    assert found.notes == ("it has no sound track: zeros",)
    matcher = EventRecognizer(folder / "cml.safetensors", device="cpu")
    with pytest.raises(ValueError, match=r"silent\.mkv: there is no sound in the query"):
        matcher(silent, query=EventQuery("audio", 1.0, 2.0))
    with pytest.raises(ValueError, match=r"silent\.mkv: there is no sound to search"):
        matcher(silent, query=EventQuery("visual", 1.0, 2.0))


def test_progress_counts_seconds(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    EventRecognizer(folder / "sel.safetensors", device="cpu")(
        folder / "a.mkv", progress=lambda *step: told.append(step)
    )
    assert told[-1] == (4, 4)


def test_a_query_goes_with_its_task_only(folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"sel\.safetensors was trained to label every second \(sel\) and takes no query"
    ):
        EventRecognizer(folder / "sel.safetensors", device="cpu")(
            "a.mkv", query=EventQuery("audio", 0.0, 1.0)
        )
    with pytest.raises(ValueError, match=r"cml\.safetensors was trained to find .* give a query"):
        EventRecognizer(folder / "cml.safetensors", device="cpu")("a.mkv")


def test_a_checkpoint_without_extractor_takes_one_that_fits(
    folder: Path, small_extractor: Extractor, tmp_path: Path, save_network: Callable[..., Any]
) -> None:
    bare = tmp_path / "bare.safetensors"
    save_network(bare, EventLocalizer, "sel", "dam", None)
    with pytest.raises(
        ValueError, match=r"bare\.safetensors does not hold .* name the extractor\.safetensors"
    ):
        EventRecognizer(bare, device="cpu")
    given = EventRecognizer(
        bare, device="cpu", extractor=save_extractor(tmp_path / "own.safetensors", small_extractor)
    )
    whole = EventRecognizer(folder / "sel.safetensors", device="cpu")
    assert given(folder / "a.mkv").relevance == whole(folder / "a.mkv").relevance
    other = Extractor(create_audio_extractor("log_mel", num_steps=3), small_extractor.visual)
    with pytest.raises(ValueError, match=r"makes 192 numbers of sound .* was trained on 8"):
        EventRecognizer(bare, device="cpu", extractor=save_extractor(tmp_path / "other.safetensors", other))


def test_what_cannot_be_used_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.safetensors: there is no such file"):
        EventRecognizer(tmp_path / "absent.safetensors")
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(VideoError, match=r"text\.mp4: not a video"):
        EventRecognizer(folder / "sel.safetensors", device="cpu")(tmp_path / "text.mp4")
    diverged = EventRecognizer(folder / "sel.safetensors", device="cpu")
    diverged.network.classify[-1].bias.data.fill_(math.nan)
    with pytest.raises(ValueError, match=r"a\.mkv: the network gives numbers that are not finite"):
        diverged(folder / "a.mkv")
