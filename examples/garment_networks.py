"""Two networks whose output is a picture: a segmenter and a network that enlarges; both small.

`spconvify` builds them with `--arch garment_networks:segmenter` and `garment_networks:enlarger`, in this
folder. `benchmarks/segmentation.py` and `benchmarks/super_resolution.py` in the repository train them.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

CLASSES = ("background", "top", "trousers", "dress", "shoe", "bag")


class ConvNorm(nn.Sequential):
    """A 3x3 convolution, a BatchNorm and a ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        convolution = nn.Conv2D(inputs, outputs, 3, stride, padding=1, bias_attr=False)
        super().__init__(convolution, nn.BatchNorm2D(outputs), nn.ReLU())


class Segmenter(nn.Layer):
    """(N, 1, H, W), H and W multiples of 4 -> scores (N, 6, H, W): a small U-Net."""

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(1, 12)
        self.down = nn.Sequential(ConvNorm(12, 24, 2), ConvNorm(24, 24))
        self.deep = nn.Sequential(ConvNorm(24, 40, 2), ConvNorm(40, 40), ConvNorm(40, 40))
        self.up, self.up_again = ConvNorm(40 + 24, 24), ConvNorm(24 + 12, 12)
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2D(12, len(CLASSES), 1)

    def forward(self, picture):
        stem = self.stem(picture)
        half = self.down(stem)
        quarter = self.deep(half)
        half = self.up(paddle.concat([self.larger(quarter), half], axis=1))
        return self.head(self.up_again(paddle.concat([self.larger(half), stem], axis=1)))


class Residual(nn.Layer):
    """Two 3x3 convolutions beside which the input goes on."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2D(channels, channels, 3, padding=1)
        self.second = nn.Conv2D(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.second(F.relu(self.first(x)))


class Enlarger(nn.Layer):
    """(N, 1, H, W) of pixels in 0..1 -> (N, 1, 2H, 2W): what a bilinear enlargement lacks is added."""

    def __init__(self, channels: int = 24):
        super().__init__()
        self.head = nn.Conv2D(1, channels, 3, padding=1)
        self.body = nn.Sequential(*(Residual(channels) for _ in range(2)))
        self.tail = nn.Conv2D(channels, 4, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.larger = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, picture):
        head = self.head(picture)
        return self.larger(picture) + self.shuffle(self.tail(head + self.body(head)))


def segmenter() -> nn.Layer:
    return Segmenter()


def enlarger() -> nn.Layer:
    return Enlarger()
