"""Small detectors: a backbone, maps of scores and of boxes, and a choice that depends on the values."""

import paddle
import paddle.nn.functional as F
from paddle import nn
from sized_networks import Unit


class Detector(nn.Layer):
    """Boxes above a threshold, and of those that overlap the best."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = Unit(3, 16, 2), Unit(16, 16), Unit(16, 16)
        self.scores, self.boxes = nn.Conv2D(16, 1, 1), nn.Conv2D(16, 4, 1)

    def forward(self, x):
        maps = self.third(self.second(self.first(x)))
        scores = F.sigmoid(self.scores(maps)).flatten()
        boxes = self.boxes(maps).transpose([0, 2, 3, 1]).reshape([-1, 4])
        boxes = paddle.concat([boxes[:, :2] * 4, boxes[:, :2] * 4 + boxes[:, 2:].abs() + 1], 1)
        return self.choice(boxes, scores)

    def choice(self, boxes, scores):
        kept = paddle.nonzero(scores > 0.5).flatten()
        boxes, scores = paddle.gather(boxes, kept), paddle.gather(scores, kept)
        best = paddle.vision.ops.nms(boxes, 0.3, scores)
        return paddle.gather(boxes, best), paddle.gather(scores, best)


class Thresholded(Detector):
    """Without the suppression: operators that ONNX and OpenVINO have."""

    def choice(self, boxes, scores):
        kept = paddle.nonzero(scores > 0.5).flatten()
        return paddle.gather(boxes, kept), paddle.gather(scores, kept)
