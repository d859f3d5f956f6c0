"""The benchmark of text detectors counts right: pages, regions of a map, crops and characters."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, features
from text_detection_report import tables
from text_pages import SIZES, pages
from text_reading import connected, crop, decoded, rectangle, regions, right

needs_freetype = pytest.mark.skipif(not features.check("freetype2"), reason="Pillow has no FreeType")


@needs_freetype
def test_pages_are_the_same_for_a_seed_and_their_boxes_hold_the_text():
    first, again, other = pages(4, 1), pages(4, 1), pages(4, 2)
    for one, same, different, size in zip(first, again, other, SIZES):
        assert one.pixels.shape == (*size, 3)
        np.testing.assert_array_equal(one.pixels, same.pixels)
        assert not np.array_equal(one.pixels, different.pixels)
        assert len(one.lines) > 3
        for line in one.lines:
            assert line.text == line.text.strip() != ""
            inside = crop(one.pixels, line.corners).astype(float)
            assert inside.mean(2).std() > 15  # ink and paper
            assert (abs(line.corners - max(size) / 2) < max(size) / 2 + 15).all()


def test_connected_parts():
    mask = np.zeros((6, 8), bool)
    mask[0, 0:3] = mask[1, 3] = True  # over a corner
    mask[3:6, 1] = mask[3:6, 5] = mask[5, 1:6] = True  # joined in the last row only
    mask[0, 7] = True
    sizes = sorted(len(rows) for rows, _ in connected(mask))
    assert sizes == [1, 4, 9]
    for rows, columns in connected(mask):
        assert mask[rows, columns].all()
    assert connected(np.zeros((4, 4), bool)) == []


@pytest.mark.parametrize("degrees", [0, 2.5, -2.5])
def test_regions_are_found_as_they_are_turned(degrees):
    image = Image.new("L", (320, 160))
    ImageDraw.Draw(image).rectangle((60, 70, 259, 89), 255)
    turned = np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR)) / 255.0
    (box,) = regions(turned)
    across, down = box[1] - box[0], box[3] - box[0]
    assert abs(np.degrees(np.arctan2(-across[1], across[0])) - degrees) < 0.3
    grown = 1.5 * 200 * 20 / 440
    assert np.linalg.norm(across) == pytest.approx(200 + 2 * grown, abs=4)
    assert np.linalg.norm(down) == pytest.approx(20 + 2 * grown, abs=4)
    shown = crop(np.repeat(turned[:, :, None] * 255, 3, 2).astype("uint8"), box)
    assert shown.shape[0] == 48
    assert shown[20:28].min() < 50 < shown[20:28, 20:-20].min()  # dark at its ends alone
    assert regions(turned * 0.5) == []  # above the threshold, but nowhere sure


def test_what_is_tiny_is_nothing():
    assert rectangle(np.array([[1.0, 1.0], [2.0, 1.0]])) is None


def test_texts():
    scores = np.eye(4)[[0, 1, 1, 0, 1, 2, 3, 3, 0]]
    assert decoded(scores, ["", "a", "b", " "]) == "aab "
    for text, count in (("abc", 3), ("axc", 2), ("", 0), ("abcxyz", 0)):
        assert right(text, "abc") == count


def test_tables_leave_out_what_was_not_measured():
    read = {"characters": 1000, "right": 990, "lines": 50, "regions": 51}
    slim = {**read, "macs": 5e8, "macs_before": 8e8, "iou": 0.9712, "lost_percent": 1.0, "pages": 64}
    latency = {"before_ms": {"median": 2, "p10": 1.5, "p90": 2.5}, "speedup": None}
    latency["fused_ms"] = latency["before_ms"]
    text = tables({"det original": read, "det fitted 0.5": slim, "det, engine": latency})
    assert "| det original | – | – | – | 50 | 51 | 990 of 1,000 | – |" in text
    assert "| det fitted 0.5 | 64 | 500 of 800 M | 0.971 | 50 | 51 | 990 of 1,000 | 1.00 % |" in text
    assert "| det, engine | 2.0 (1.5–2.5) | 2.0 (1.5–2.5) | not measurably |" in text
    assert tables({"det original": read}).count("\n") == 3
