"""Pictures of every mode and kind: right pixels, or a reason."""

import contextlib
import io
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from spconvify import ArgumentError
from spconvify.data import pictures
from spconvify.data.pictures import UnreadablePictureError, open_picture
from spconvify.data.preparation import Preparation

GREY, RGB, RGBA = (Preparation(channels, (32, 32)) for channels in (1, 3, 4))
RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))
BYTES = (RAMP * 255).round().astype("uint8")
COLOURS = np.stack([BYTES, BYTES.T, 255 - BYTES], axis=2)


def saved(tmp_path, image, suffix=".png", **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(tmp_path / f"x{suffix}", **options)
    return tmp_path / f"x{suffix}"


def reason(file, preparation=RGB):
    with pytest.raises(UnreadablePictureError) as caught:
        open_picture(file, preparation)
    assert str(caught.value) == f"{file}: {caught.value.reason}"
    assert "\n" not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize(
    ("picture", "suffix"),
    [
        (BYTES, ".png"),
        ((RAMP * 65535).astype("uint16"), ".png"),
        ((RAMP * 65535).astype("uint16"), ".tif"),
        ((RAMP * 65535).astype(">u2"), ".tif"),
        ((RAMP * 65535).astype("int32"), ".tif"),
        (RAMP.astype("float32"), ".tif"),
        ((RAMP * 255).astype("float32"), ".tiff"),
        (BYTES, ".webp"),
        (BYTES, ".bmp"),
        (BYTES, ".pgm"),
        (BYTES, ".gif"),
        (np.dstack([BYTES] * 3), ".jpg"),
        (Image.fromarray(BYTES).convert("P"), ".png"),
        (Image.fromarray(BYTES).convert("LA"), ".png"),
        (Image.fromarray(np.dstack([BYTES] * 3)).convert("CMYK"), ".jpg"),
        (Image.fromarray(np.dstack([BYTES] * 3)).convert("YCbCr"), ".jpg"),
    ],
)
def test_a_ramp_is_a_ramp_in_every_mode(tmp_path, picture, suffix):
    file = saved(tmp_path, picture, suffix)
    right = np.asarray(Image.fromarray(BYTES).resize((32, 32), Image.Resampling.BILINEAR)).astype(float)
    for preparation in (GREY, RGB):
        pixels = open_picture(file, preparation).pixels
        assert pixels.dtype == np.uint8
        assert pixels.shape == (preparation.channels, 32, 32)
        assert np.abs(pixels - right).max() <= 3


def test_one_bit_and_one_pixel(tmp_path):
    black_and_white = Image.fromarray(BYTES > 127)
    assert set(np.unique(open_picture(saved(tmp_path, black_and_white), GREY).pixels)) >= {0, 255}
    one = open_picture(saved(tmp_path, np.uint8([[77]])), RGB).pixels
    assert (one == 77).all()


@pytest.mark.parametrize(
    ("dtype", "kind", "high"),
    [("<u4", 1, 2**32 - 1), ("<u4", 1, 65535), ("<i4", 2, 65535), ("<u2", 1, 65535)],
)
def test_integers_of_tiffs(tmp_path, dtype, kind, high):
    """Pillow reads 32 bits as int32, and the upper half of unsigned ones as negative numbers."""
    write_tiff(tmp_path / "x.tif", (RAMP * high).astype(dtype), kind)
    assert abs(open_picture(tmp_path / "x.tif", GREY).pixels.mean() - 127.5) < 2


def test_tiffs_of_signed_integers(tmp_path):
    for dtype, high in (("<i2", 32767), ("<i4", 2**31 - 1)):
        write_tiff(tmp_path / "x.tif", (RAMP * high).astype(dtype), 2)
        assert f"go up to {high}" in reason(tmp_path / "x.tif", GREY)
        write_tiff(tmp_path / "x.tif", ((RAMP - 0.5) * high).astype(dtype), 2)
        assert "aren't pixels" in reason(tmp_path / "x.tif", GREY)


def write_tiff(file, values, sample_format, photometric=1):
    """The smallest TIFF: Pillow writes no unsigned 32-bit integers."""
    height, width = values.shape
    tags = {
        256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: photometric, 273: 8, 277: 1,
        278: height, 279: values.nbytes, 339: sample_format,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    header = struct.pack("<2sHI", b"II", 42, 8 + values.nbytes)
    file.write_bytes(header + values.tobytes() + struct.pack("<H", len(tags)) + entries + bytes(4))


@pytest.mark.parametrize(
    ("dtype", "kind", "high"), [("u1", 1, 255), ("<u2", 1, 65535), ("<f4", 3, 1), ("<f4", 3, 255)]
)
def test_tiffs_whose_white_is_zero(tmp_path, dtype, kind, high):
    write_tiff(tmp_path / "x.tif", (RAMP * high).astype(dtype), kind, photometric=0)
    pixels = open_picture(tmp_path / "x.tif", GREY).pixels[0]
    right = np.asarray(Image.fromarray(255 - BYTES).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(pixels.astype(int) - right).max() <= 3


@pytest.mark.parametrize(("dtype", "high", "key"), [("u1", 255, 7), (">u2", 65535, 1000)])
def test_a_transparent_grey_is_put_on_white(tmp_path, dtype, high, key):
    values = (RAMP * high).astype(dtype)
    values[:32] = key
    write_png(tmp_path / "x.png", values, key)
    picture = open_picture(tmp_path / "x.png", GREY)
    assert (picture.pixels[0, :15] == 255).all()
    assert picture.pixels[0, 17:, 0].max() < 10
    assert "transparent, put on white" in picture.remarks
    assert (open_picture(tmp_path / "x.png", RGBA).pixels[3, :15] == 0).all()


def write_png(file, values, transparent):
    """A grey PNG with a transparent value, which Pillow doesn't write for 16 bits."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape
    header = struct.pack(">IIBBBBB", width, height, values.itemsize * 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in values))
    parts = (b"IHDR", header), (b"tRNS", struct.pack(">H", transparent)), (b"IDAT", rows), (b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_right_way_up(tmp_path, orientation):
    exif = Image.new("L", (1, 1)).getexif()
    exif[0x0112] = orientation
    picture = open_picture(saved(tmp_path, COLOURS, ".jpg", exif=exif, quality=95, subsampling=0), RGB)
    upright = Image.fromarray(COLOURS)
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's numbers of what undoes it
    if orientation > 1:
        upright = upright.transpose(Image.Transpose(inverse[orientation]))
        assert picture.remarks == ("turned as EXIF says",)
    right = np.asarray(upright.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(picture.pixels.astype(int) - right).mean() < 3


def test_transparent_pictures_are_put_on_white(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 4)).astype("uint8")
    noise[..., 3] = 0
    picture = open_picture(saved(tmp_path, noise), RGB)
    assert (picture.pixels == 255).all()
    assert picture.remarks == ("transparent, put on white",)
    noise[..., 3] = 255
    opaque = open_picture(saved(tmp_path, noise), RGB)
    assert opaque.remarks == ()
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 0, 0])
    assert (open_picture(saved(tmp_path, palette, transparency=1), GREY).pixels == 255).all()


def test_four_channels_are_red_green_blue_alpha(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 4)).astype("uint8")
    pixels = open_picture(saved(tmp_path, noise), RGBA).pixels
    np.testing.assert_array_equal(pixels, noise.transpose(2, 0, 1))  # whatever the alpha is
    noise[..., :3], noise[::2, :, 3] = 100, 0
    smaller = open_picture(saved(tmp_path, noise), Preparation(4, (7, 7))).pixels
    assert (smaller[:3] == 100).all()
    noise[::2, :, :3] = 200
    smaller = open_picture(saved(tmp_path, noise), Preparation(4, (8, 8))).pixels
    assert smaller[:3].min() > 130  # of as much 200 as 100, though that is transparent
    assert "no alpha channel" in reason(saved(tmp_path, COLOURS), RGBA)
    with pytest.raises(ArgumentError, match="1, 3 or 4 channels, and the network takes 2"):
        open_picture(tmp_path / "x.png", Preparation(2, (4, 4)))


def test_the_first_of_several_counts_and_is_said(tmp_path):
    frames = [Image.new("L", (8, 8), 200), Image.new("L", (8, 8), 10)]
    for suffix in (".gif", ".tif", ".webp", ".png"):
        file = saved(tmp_path, frames[0], suffix, save_all=True, append_images=frames[1:])
        picture = open_picture(file, GREY)
        assert abs(picture.pixels.mean() - 200) < 2
        assert picture.remarks == ("first of several in its file",)


def test_a_photograph_with_a_preview(tmp_path):
    Image.fromarray(COLOURS).save(
        tmp_path / "x.mpo", save_all=True, append_images=[Image.new("RGB", (8, 8))]
    )
    os.rename(tmp_path / "x.mpo", tmp_path / "x.jpg")
    assert open_picture(tmp_path / "x.jpg", RGB).remarks == ()


def test_no_other_formats_whatever_the_suffix_says(tmp_path, monkeypatch):
    """An EPS starts Ghostscript, which runs programs."""
    canary = tmp_path / "canary"
    (tmp_path / "bin").mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\ntouch {canary}\necho 10.0\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    eps = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "x.png").write_text(eps)
    assert reason(tmp_path / "x.png").startswith("not a picture that can be read (BMP, GIF, JPEG")
    assert not canary.exists()
    for name in ("ICO", "PCX", "TGA", "PDF"):
        buffer = io.BytesIO()
        Image.new("L", (16, 16)).save(buffer, name)
        (tmp_path / "x.jpg").write_bytes(buffer.getvalue())
        assert "not a picture that can be read" in reason(tmp_path / "x.jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".tif", ".webp", ".ppm"])
def test_damaged_pictures_have_a_reason(tmp_path, suffix):
    """Whatever a decoder raises; a picture that lost a few bytes may still be one."""
    whole = saved(tmp_path, COLOURS, suffix).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(40):
        broken = bytearray(whole[: random.integers(0, len(whole))])
        for place in random.integers(0, max(1, len(broken)), 3):
            if broken:
                broken[place] ^= 0x55
        file = tmp_path / f"broken{suffix}"
        file.write_bytes(broken)
        with contextlib.suppress(UnreadablePictureError):
            assert open_picture(file, RGB).pixels.shape == (3, 32, 32)


def test_what_is_no_file_of_pixels(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    assert "not a regular file" in reason(tmp_path / "fifo.png")
    assert "No such file" in reason(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    assert "not a picture" in reason(tmp_path / "empty.png")
    half = saved(tmp_path, COLOURS, ".jpg")
    shutil.copy(half, tmp_path / "half.jpg")
    os.truncate(tmp_path / "half.jpg", half.stat().st_size // 2)
    assert "truncated" in reason(tmp_path / "half.jpg").lower()
    assert "NaN" in reason(saved(tmp_path, RAMP.astype("float32") * np.nan, ".tif"))
    assert "go up to 4095" in reason(saved(tmp_path, (RAMP * 4095).astype("uint16")))
    assert "standardised already" in reason(saved(tmp_path, RAMP.astype("float32") - 0.5, ".tif"))


def test_a_picture_that_unpacks_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "exceeds limit" in reason(saved(tmp_path, COLOURS))


def test_a_picture_of_more_pixels_than_any_camera_has(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_MOST_PIXELS", 99)
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    Image.new("L", (9, 11)).save(tmp_path / "right.png")
    preparation = Preparation.of((1, 1, 4, 4))
    with pytest.raises(UnreadablePictureError, match="it is too large: 10x10"):
        open_picture(tmp_path / "large.png", preparation)
    assert open_picture(tmp_path / "right.png", preparation).pixels.shape == (1, 4, 4)
