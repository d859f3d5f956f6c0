"""Networks with several inputs, each named after how it takes them; what each can be run on."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.network.input_tensor import InputTensor

IMAGE, SCALE = (2, 3, 12, 12), (2, 8)


class Body(nn.Layer):
    """Two 3x3, of which the second is convertible, with a BatchNorm to fold."""

    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Conv2D(channels, 8, 3, padding=1)
        self.conv = nn.Conv2D(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2D(8)

    def body(self, image):
        return F.relu(self.norm(self.conv(F.relu(self.stem(image)))))


class Scaled(Body):
    """Two positional tensors."""

    def forward(self, image, scale):
        return self.body(image) * scale.unsqueeze([2, 3])


class OfDictionary(Body):
    """One dictionary, with integers in it, and a dictionary of outputs."""

    def __init__(self):
        super().__init__()
        self.names = nn.Embedding(5, 8)

    def forward(self, inputs):
        features = self.body(inputs["image"])
        return {"features": features, "named": features.mean([2, 3]) + self.names(inputs["label"])}


class ByKeyword(Body):
    """Keywords only."""

    def forward(self, *, image, scale, mode="scale"):
        assert mode == "scale"
        return self.body(image) * scale.unsqueeze([2, 3])


class OfList(Body):
    """One list of pictures, and a switch that is no picture."""

    def forward(self, images, as_list=False):
        outputs = [self.body(image) for image in images]
        return outputs if as_list else paddle.concat(outputs, axis=1)


class Siamese(Body):
    """Two pictures, one by one; the second may be left out."""

    def forward(self, left, right=None):
        return self.body(left) - (self.body(right) if right is not None else 0.0)


def made(network):
    model = network()
    model.norm._mean.set_value(paddle.rand([8]))
    model.norm._variance.set_value(paddle.rand([8]) + 0.5)
    model.eval()
    return model


LABELS = np.array([1, 4])
CASES = [
    (Scaled, [IMAGE, SCALE]),
    (Scaled, {"scale": SCALE, "image": IMAGE}),
    (OfDictionary, {"image": IMAGE, "label": InputTensor((2,), "int64")}),
    (OfDictionary, {"image": IMAGE, "label": LABELS}),
    (ByKeyword, {"image": IMAGE, "scale": SCALE}),
    (OfList, [IMAGE, IMAGE]),
    (OfList, (IMAGE, IMAGE, IMAGE)),
    (Siamese, [IMAGE, IMAGE]),
]
