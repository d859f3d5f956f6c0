"""One picture from a file: only known formats, the right way up, on the scale of bytes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spconvify.data.preparation import WHITE, Preparation
from spconvify.data.scale import white_of
from spconvify.errors import ArgumentError
from spconvify.files.regular import NotRegularError, open_regular

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
# Pillow goes by a file's content, and its other formats run programs (EPS) or are hardly tested.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_MOST_PIXELS = 1 << 26  # several copies of it, in several threads, must fit into the memory
_ORIENTATION, _UPRIGHT, _TURNED = 0x0112, 1, range(2, 9)  # of EXIF
_SAMPLE_FORMAT, _BITS, _UNSIGNED = 339, 258, 1  # tags of TIFF
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


class UnreadablePictureError(ArgumentError):
    """A picture that can't be read; `reason` says why, in one line."""

    def __init__(self, file: Path, reason: str):
        super().__init__(f"{file}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """Pixels uint8 (C, H, W), and what was done to them that a user wants to know.

    `white` is what counted as white, if the file has integers of 16 bits.
    """

    pixels: np.ndarray
    remarks: tuple[str, ...] = ()
    white: float | None = None


def check_channels(channels: int) -> None:
    """Refuse pictures for a network that can't see them.

    Raises:
        ArgumentError: unless it takes 1 (grey), 3 (RGB) or 4 (RGBA) channels.
    """
    if channels not in MODES:
        raise ArgumentError(
            f"pictures have 1, 3 or 4 channels, and the network takes {channels}; give an .npy or .npz"
        )


def read_picture(file: Path, preparation: Preparation, white16: float | None = None) -> np.ndarray:
    """The pixels of a picture, resized: uint8 (C, H, W); see `open_picture`.

    Raises:
        UnreadablePictureError: if it can't be read.
    """
    return open_picture(file, preparation, white16).pixels


def open_picture(file: Path, preparation: Preparation, white16: float | None = None) -> Picture:
    """A picture, turned as its EXIF says, resized, with 1 (grey), 3 (RGB) or 4 (RGBA) channels.

    16-bit, 32-bit and float pictures are scaled to bytes. Transparent ones are put on white, unless the
    network takes the alpha channel. Of several pictures in a file the first counts.

    Args:
        file: where it is.
        preparation: channels and size.
        white16: the value of white in integers of 16 bits, where other pictures of the same folder have
            told it; None goes by the picture's own values.

    Raises:
        UnreadablePictureError: whatever the reason is that it can't be read, or doesn't fit.
        ArgumentError: if the network takes another number of channels.
    """
    check_channels(preparation.channels)
    try:
        return _decoded(file, preparation, white16)
    except Exception as error:  # decoders of damaged files raise anything
        raise UnreadablePictureError(file, _reason(error)) from error


def _decoded(file: Path, preparation: Preparation, white16: float | None) -> Picture:
    from PIL import Image, ImageOps

    remarks, white = [], None
    with open_regular(file) as stream, Image.open(stream, formats=FORMATS) as image:
        if image.width * image.height > _MOST_PIXELS:
            raise ArgumentError(f"it is too large: {image.width}x{image.height}, more than 64 Mi pixels")
        image.load()
        integers, inverted = _integer_type(image), _white_is_zero(image)
        if image.getexif().get(_ORIENTATION, _UPRIGHT) in _TURNED:
            remarks.append("turned as EXIF says")
        upright = ImageOps.exif_transpose(image)
        if _has_more(image):
            remarks.append("first of several in its file")
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        remarks.append("scaled from more than 8 bits")
        values = np.asarray(upright) if integers is None else np.asarray(upright).astype(integers)
        white = white16 if white16 and _has_16_bits(values) else _white_of(values)
        upright = _in_bytes(values, white, inverted, upright.info.get("transparency"))
        white = white if _has_16_bits(values) else None
    if preparation.channels == 4:
        coloured = _with_alpha(upright)
    else:
        coloured, transparent = _without_alpha(upright, MODES[preparation.channels])
        remarks += ["transparent, put on white"] * transparent
    height, width = preparation.target
    return Picture(_resized(coloured, (width, height)), tuple(remarks), white)


def _integer_type(image: Any) -> np.dtype | None:
    """The type of integers, where Pillow reads them as int32 whatever they are."""
    if image.mode != "I":
        return None
    tags = getattr(image, "tag_v2", None)
    if tags is None:  # a PNG or PGM of 16 bits
        return np.dtype(np.uint16)
    bits, kind = tags.get(_BITS, (1,))[0], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
    return np.dtype(f"{'u' if kind == _UNSIGNED else ''}int{bits}") if bits in (8, 16, 32) else None


def _white_is_zero(image: Any) -> bool:
    """Whether a TIFF's white is 0, as scanners and X-rays have it: Pillow turns 8 bits, and no more."""
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _has_16_bits(values: np.ndarray) -> bool:
    return values.dtype.kind == "u" and values.dtype.itemsize == 2


def _white_of(values: np.ndarray) -> float:
    if not np.isfinite(values).all():
        raise ArgumentError("it holds NaN or infinity")
    return white_of(values)


def _in_bytes(values: np.ndarray, white: float, inverted: bool, transparent: Any) -> Any:
    """A picture of more than 8 bits as one of 8, with an alpha channel where a value is transparent."""
    from PIL import Image

    scaled = np.clip(np.rint(values.astype(np.float64) * (WHITE / white)), 0, WHITE).astype(np.uint8)
    picture = Image.fromarray(255 - scaled if inverted else scaled)
    if isinstance(transparent, int):
        alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
        picture.putalpha(Image.fromarray(alpha))
    return picture


def _has_alpha(image: Any) -> bool:
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def _with_alpha(image: Any) -> Any:
    if not _has_alpha(image):
        raise ArgumentError("it has no alpha channel, and the network takes 4 channels, RGBA")
    return image.convert("RGBA")


def _without_alpha(image: Any, mode: str) -> tuple[Any, bool]:
    """The picture in `mode`, and whether anything of it was transparent."""
    from PIL import Image

    if not _has_alpha(image):
        direct = image.mode in ("1", "L", "RGB")
        return (image if direct else image.convert("RGB")).convert(mode), False
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] == WHITE:
        return image.convert("RGB").convert(mode), False
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB").convert(mode), True


def _resized(image: Any, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    # A channel at a time where there is an alpha: Pillow would weight the colours with it.
    parts = image.split() if image.mode == "RGBA" else (image,)
    arrays = [np.asarray(part.resize(size, Image.Resampling.BILINEAR)) for part in parts]
    array = np.stack(arrays) if len(arrays) > 1 else arrays[0]
    if array.ndim == 2:
        return array[None]
    return array if len(arrays) > 1 else array.transpose(2, 0, 1)


def _has_more(image: Any) -> bool:
    """Whether the file holds further pictures; the preview in a photograph's (MPO) is none."""
    with contextlib.suppress(Exception):  # of a damaged second one
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    return False


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return f"not a picture that can be read ({', '.join(FORMATS)})"
    if isinstance(error, NotRegularError):
        return "not a regular file"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    line = " ".join(text.split())
    return line if isinstance(error, (OSError, ArgumentError)) else f"damaged ({line})"
