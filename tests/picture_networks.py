"""Coloured pictures as cameras make them, and networks whose first BatchNorm was trained on such."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn

MEAN = np.array([0.485, 0.456, 0.406], "float32").reshape(1, 3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], "float32").reshape(1, 3, 1, 1)


def pictures(count=64, size=24, seed=0):
    """Pixels of 0..255 (N, 3, H, W): smooth brightness, weaker colours, more red than blue."""
    random = np.random.default_rng(seed)

    def smooth(channels):
        coarse = (
            random.standard_normal((count, channels, size // 6, size // 6)).repeat(6, 2).repeat(6, 3)
        )
        fine = random.standard_normal((count, channels, size // 2, size // 2)).repeat(2, 2).repeat(2, 3)
        level = random.standard_normal((count, channels, 1, 1))
        return 0.6 * coarse + 0.5 * fine + 0.6 * level

    values = MEAN + STD * (0.9 * smooth(1) + 0.35 * smooth(3))
    return np.clip(np.rint(255 * values), 0, 255).astype("float32")


def imagenet(pixels):
    """0..255 -> the usual input."""
    return (pixels / np.float32(255) - MEAN) / STD


def trained(prepare=imagenet, channels=3, data_format="NCHW", seed=1):
    """A small network whose statistics are those of pictures, prepared as `prepare` does."""
    paddle.seed(seed)
    options = {"padding": 1, "bias_attr": False, "data_format": data_format}
    model = nn.Sequential(
        nn.Conv2D(channels, 16, 3, stride=2, **options),
        nn.BatchNorm2D(16, data_format=data_format),
        nn.ReLU(),
        nn.Conv2D(16, 16, 3, **options),
        nn.BatchNorm2D(16, data_format=data_format),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(1, data_format=data_format),
        nn.Flatten(),
        nn.Linear(16, 5),
    )
    for norm in (model[1], model[4]):
        norm._momentum = 0.0
    x = prepare(pictures(256, seed=99))[:, :channels]
    model.train()
    with paddle.no_grad():
        model(paddle.to_tensor(x if data_format == "NCHW" else np.moveaxis(x, 1, -1)))
    model.eval()
    return model
