from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interlace.data import video
from interlace.data.video import VideoError


def write(folder: Path, names: list[str], size: tuple[int, int] = (7, 5)) -> Path:
    """Picture i is grey at 10 * i; size is (width, height)."""
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        Image.new("RGB", size, (10 * i,) * 3).save(folder / name)
    return folder


@pytest.mark.parametrize(
    "template", ["{:05d}.png", "img_{:05d}.png", "frame-{}.png", "a1_s2_{:03d}_rgb.png", "{:d}.bmp"]
)
@pytest.mark.parametrize("start", [0, 1, 37])
def test_naming_is_found_and_order_is_numeric(tmp_path: Path, template: str, start: int) -> None:
    folder = write(tmp_path / "clip", [template.format(start + i) for i in range(12)])
    for given in (None, template):
        with video.open(folder, frame_template=given) as reader:
            assert (reader.num_frames, reader.height, reader.width) == (12, 5, 7)
            assert reader.frames_at([11, 2, 2]).shape == (3, 3, 5, 7)
            assert reader.frames_at([11, 2, 2])[:, 0, 0, 0].tolist() == [110, 20, 20]
            assert reader.pts_seconds[:3].tolist() == [0.0, 0.04, 0.08]
            assert reader.duration_seconds == 0.48
            assert "25 a second" in reader.notes[0]


def test_a_gap_names_the_missing_file_or_its_neighbour_stands_in(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", [f"img_{i:05d}.png" for i in range(1, 7)])
    (folder / "img_00004.png").unlink()
    with pytest.raises(
        VideoError, match=r"clip: img_00004.png is missing .* img_00001.png and img_00006.png"
    ):
        video.open(folder)
    with video.open(folder, on_error="skip") as reader:
        assert reader.num_frames == 6
        assert reader.frames_at([2, 3, 4])[:, 0, 0, 0].tolist() == [20, 20, 40]
        assert reader.damaged_frames() == [3]
        assert "1 of 6 frames damaged (3): the nearest decodable one is used" in reader.notes


def test_a_size_that_differs_names_the_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", ["1.png", "2.png", "3.png"])
    Image.new("RGB", (9, 5)).save(folder / "2.png")
    with video.open(folder) as reader, pytest.raises(VideoError, match=r"2.png has 9x5 pixels.* 7x5"):
        reader.frames_at([0, 1])


def test_a_damaged_picture_names_the_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", ["1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes(b"no picture")
    with video.open(folder) as reader, pytest.raises(VideoError, match=r"frame 1 of 3 .*2.png"):
        reader.frames_at([1])


def test_all_damaged_is_an_error_even_when_lenient(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", ["1.png", "2.png"])
    for file in folder.iterdir():
        file.write_bytes(b"no picture")
    with (
        video.open(folder, on_error="skip") as reader,
        pytest.raises(VideoError, match="none of its 2 frames"),
    ):
        reader.frames_at([1])


def test_the_longest_series_counts_and_the_others_are_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", [f"img_{i}.png" for i in range(4)])
    write(folder, [f"mask_{i}.png" for i in range(3)])
    (folder / "readme.txt").write_text("no picture")
    with video.open(folder) as reader:
        assert reader.num_frames == 4
        assert "pictures img_*.png are used, mask_*.png are not" in reader.notes
    write(folder, ["mask_3.png"])
    with pytest.raises(VideoError, match=r"several series .* frame_template"):
        video.open(folder)
    assert video.open(folder, frame_template="mask_{}.png").num_frames == 4


def test_optical_flow_beside_the_frames_is_no_other_series(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", [f"img_{i}.png" for i in range(4)])
    write(folder, [f"flow_{axis}_{i}.png" for i in range(9) for axis in "xy"])
    with video.open(folder) as reader:
        assert reader.num_frames == 4
        assert "pictures img_*.png are used, flow_x_*.png, flow_y_*.png are not" in reader.notes
    for i in range(4):
        (folder / f"img_{i}.png").unlink()
    with pytest.raises(VideoError, match=r"optical flow only; read it with modality=flow"):
        video.open(folder)


def test_no_pictures_no_match_bad_template(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="no numbered pictures"):
        video.open(tmp_path / "empty")
    folder = write(tmp_path / "clip", ["img_1.png"])
    with pytest.raises(VideoError, match="no picture is named like"):
        video.open(folder, frame_template="{:05d}.jpg")
    for template in ("img_{:05q}.png", "img_{name}.png"):
        with pytest.raises(ValueError, match="is no template"):
            video.open(folder, frame_template=template)


def test_exif_orientation_grey_sixteen_bit_and_alpha(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise, to see it upright
    Image.fromarray(pixels).save(folder / "1.png", exif=exif)
    with video.open(folder, color="gray") as reader:
        assert (reader.height, reader.width) == (6, 4)
        frame = reader.frames_at([0])[0]
        assert frame.shape == (1, 6, 4)
        assert frame[0, 0].tolist() == [0, 0, 0, 200]

    deep = tmp_path / "deep"
    deep.mkdir()
    Image.fromarray(np.full((3, 5), 0x8012, np.uint16)).save(deep / "1.png")
    with video.open(deep) as reader:
        assert reader.frames_at([0]).unique().tolist() == [0x80]

    alpha = tmp_path / "alpha"
    alpha.mkdir()
    Image.new("RGBA", (5, 3), (10, 20, 30, 0)).save(alpha / "1.png")
    with video.open(alpha) as reader:
        assert reader.frames_at([0])[0, :, 0, 0].tolist() == [10, 20, 30]
