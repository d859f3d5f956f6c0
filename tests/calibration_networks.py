"""Small trained-looking networks for calibration: smooth inputs, statistics that fit."""

from __future__ import annotations

import copy

import numpy as np
import paddle
from paddle import nn

from spconvify.surgery.apply import apply_plan
from spconvify.surgery.planning import Plan, SPConvSettings
from spconvify.surgery.planning import plan as make_plan
from spconvify.surgery.sites import find_sites


class Residual(nn.Layer):
    """A block whose second convolution is followed by BatchNorm, the shortcut and a ReLU."""

    def __init__(self, channels=8, stride=1, data_format="NCHW"):
        super().__init__()
        options = {"padding": 1, "bias_attr": False, "data_format": data_format}
        self.conv1 = nn.Conv2D(channels, channels, 3, stride=stride, **options)
        self.bn1 = nn.BatchNorm2D(channels, data_format=data_format)
        self.conv2 = nn.Conv2D(channels, channels, 3, **options)
        self.bn2 = nn.BatchNorm2D(channels, data_format=data_format)
        self.pool = nn.AvgPool2D(stride, stride, ceil_mode=True, data_format=data_format)

    def forward(self, x):
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        return nn.functional.relu(paddle.add(self.bn2(self.conv2(y)), self.pool(x)))


def images(count=32, channels=8, size=10, seed=0):
    """Smooth random images (N, C, H, W)."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((count, channels, size + 2, size + 2)).astype("float32")
    mix = random.standard_normal((channels, channels)).astype("float32") * 0.3
    x = sum(x[:, :, i : i + size, j : j + size] for i in range(3) for j in range(3)) / 3
    return x + np.einsum("dc,nchw->ndhw", mix, x)


def settled(model, batch):
    """Give the model's BatchNorms the statistics of a batch, and random gains; eval mode."""
    random = np.random.default_rng(0)
    norms = [layer for layer in model.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    for norm in norms:
        norm._momentum = 0.0
        norm.weight.set_value(random.uniform(0.5, 1.5, norm.weight.shape).astype("float32"))
        norm.bias.set_value(random.uniform(-0.5, 0.5, norm.weight.shape).astype("float32"))
    model.train()
    with paddle.no_grad():
        model(paddle.to_tensor(batch))
    model.eval()
    return model


def converted(model, ratio=0.5, groups=2, fusion="sum"):
    """(network with SPConv2D in place, site name -> SPConv2D), as a conversion prepares it."""
    plan = make_plan(model, ratio, groups, fusion=fusion)
    settings = {
        name: SPConvSettings(s.ratio, s.groups, s.fusion, fusion == "sum", True)
        for name, s in plan.sites.items()
    }
    new = apply_plan(copy.deepcopy(model), Plan(settings))
    return new, {site.name: site.layer for site in find_sites(new) if site.name in settings}


def give_structure(conv, groups=2, seed=0):
    """Overwrite a kernel so that an SPConv with ratio 1/2 can equal it, on scattered channels."""
    random = np.random.default_rng(seed)
    kernel = conv.weight.numpy() * 0
    outputs, inputs = kernel.shape[:2]
    if conv._stride[0] == 1:
        kernel[:, :, 1, 1] = random.standard_normal((outputs, inputs)) * 0.4
    order = random.permutation(inputs)[: inputs // 2].reshape(groups, -1)
    for group, channels in enumerate(order):
        rows = np.arange(outputs).reshape(groups, -1)[group]
        kernel[rows[:, None], channels] = random.standard_normal((len(rows), len(channels), 3, 3)) * 0.3
    conv.weight.set_value(kernel)
