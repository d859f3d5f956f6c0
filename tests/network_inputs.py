"""Networks whose factories say, or don't, what they are run on; for the command line and for Python."""

from __future__ import annotations

import numpy as np
import paddle
from input_networks import Body
from paddle import nn

PICTURE = (1, 3, 16, 16)


class Detector(Body):
    """One dictionary as Paddle's detectors have it, by whose sizes and factors the output is scaled."""

    def forward(self, inputs):
        self.inputs = inputs
        features = self.body(inputs["image"]).mean([2, 3])
        sizes = inputs["im_shape"] / inputs["scale_factor"]
        return {"scores": features, "sizes": sizes + 0.0 * features[:, :2]}


class Stereo(Body):
    """Two pictures."""

    def forward(self, left, right):
        return self.body(left) - self.body(right)


class WithPrior(Body):
    """A picture of 3 channels, and a map of 5 that is none."""

    def forward(self, image, prior):
        return self.body(image) * prior.mean([1, 2, 3], keepdim=True)


class Anchored(Body):
    """Scores of pictures for anchors, which are the same for all of them."""

    def forward(self, image, anchors):
        return self.body(image).mean([2, 3]) @ anchors.t()


class WithWords(Body):
    """A picture, and numbers of words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 8)

    def forward(self, ids, image):
        return self.body(image).mean([2, 3]) + self.words(ids).mean(1)


class Nested(Body):
    """A dictionary in a dictionary."""

    def forward(self, batch):
        return self.body(batch["image"]) * batch["meta"]["scale"].unsqueeze([2, 3])


class OnlyKeywords(Body):
    """Keywords only, one of which has a default."""

    def forward(self, *, image, scale, bias=None):
        return self.body(image) * scale.unsqueeze([2, 3])


class Classes(Body):
    """A class for a picture, and a scale in the way."""

    def forward(self, image, scale):
        return (self.body(image) * scale.unsqueeze([2, 3])).mean([2, 3])


class WithHead(Classes):
    """The same with a head that only training has."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, image, scale):
        result = super().forward(image, scale)
        return (result, self.head(self.body(image))) if self.training else result


class LastAndScaled(nn.Layer):
    """Pictures with channels last, and a scale."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(3, 8, 3, padding=1, data_format="NHWC")
        self.conv = nn.Conv2D(8, 8, 3, padding=1, data_format="NHWC")

    def forward(self, image, scale):
        return self.conv(nn.functional.relu(self.stem(image))) * scale.unsqueeze([1, 2])


class Plain(Body):
    """One picture."""

    def forward(self, image):
        return self.body(image)


class Clip(Body):
    """Frames (N, T, C, H, W)."""

    def forward(self, clip):
        count, frames = clip.shape[:2]
        maps = self.body(clip.reshape([-1, *clip.shape[2:]]))
        return maps.reshape([count, frames, 8, -1]).mean([1, 3])


def scale(count=1):
    return np.linspace(0.5, 2.0, 8 * count, dtype="float32").reshape(count, 8)


def _eval(network, example=None):
    paddle.seed(3)
    model = network()
    model.eval()
    return model if example is None else (model, example)


def picture(shape=PICTURE, seed=0):
    return np.random.default_rng(seed).random(shape, dtype="float32")


def detector():
    return _eval(Detector)


def detector_with_example():
    example = {
        "image": picture(),
        "im_shape": np.float32([[16, 16]]),
        "scale_factor": np.float32([[2, 2]]),
    }
    return _eval(Detector, example)


def stereo():
    return _eval(Stereo, (picture(), picture(seed=1)))


def with_words():
    return _eval(WithWords, (np.array([[1, 8, 3]]), paddle.to_tensor(picture())))


def nested():
    return _eval(Nested, {"image": picture(), "meta": {"scale": scale()}})


def classes():
    return _eval(Classes, (picture(), scale()))


def anchored():
    return _eval(Anchored)


def last_and_scaled():
    return _eval(LastAndScaled, {"image": picture((1, 16, 12, 3)), "scale": scale()})


def with_a_head():
    return _eval(WithHead)


def only_keywords():
    return _eval(OnlyKeywords)


def nested_alone():
    return _eval(Nested)


def clip():
    return _eval(Clip)


def words_alone():
    return _eval(WithWords)


def one_tensor():
    return _eval(Plain, picture())


def no_example():
    return _eval(Classes), "an example"


def shape_for_example():
    return _eval(Classes), (1, 3, 16, 16)


def nan_for_example():
    return _eval(Classes), np.full((1, 3, 16, 16), np.nan, "float32")


def grey_for_example():
    return _eval(Classes), (picture()[:, :1], np.ones((1, 8), "float32"))


def number_for_example():
    return _eval(Classes), np.float32(3)
