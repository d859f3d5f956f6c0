"""Networks that take pictures of any height and width, or only seem to."""

import paddle
import paddle.nn.functional as F
from paddle import nn


class Unit(nn.Layer):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv = nn.Conv2D(inputs, outputs, 3, stride, 1, bias_attr=False)
        self.norm = nn.BatchNorm2D(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Pyramid(nn.Layer):
    """Two ways: down, and up again to the size that a map had, by whichever way of resizing."""

    def __init__(self, mode="nearest", way="shape"):
        super().__init__()
        self.first, self.second, self.third = Unit(3, 16, 2), Unit(16, 16, 2), Unit(16, 16, 2)
        self.lateral, self.smooth, self.head = nn.Conv2D(16, 16, 1), Unit(16, 16), nn.Conv2D(16, 4, 1)
        self.mode, self.way = mode, way

    def up(self, x, like):
        if self.way == "shape":
            return F.interpolate(x, size=paddle.shape(like)[2:], mode=self.mode)
        if self.way == "python":
            return F.interpolate(x, size=like.shape[2:], mode=self.mode)
        return F.interpolate(x, scale_factor=2, mode=self.mode)

    def forward(self, x):
        first = self.first(x)
        second = self.second(first)
        second = second + self.up(self.third(second), second)
        return self.head(self.smooth(self.up(second, first) + self.lateral(first)))


class RoundingUp(nn.Layer):
    """Poolings that round upwards, and classes."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.linear = Unit(3, 16, 2), Unit(16, 16), nn.Linear(16, 7)
        self.largest, self.mean = nn.MaxPool2D(3, 2, ceil_mode=True), nn.AvgPool2D(2, ceil_mode=True)

    def forward(self, x):
        return self.linear(self.mean(self.second(self.largest(self.first(x)))).mean([2, 3]))


class Rows(nn.Layer):
    """Reshapes by numbers of Python, a slice in the middle, and a line of numbers as long as a row."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Unit(3, 16, 2), Unit(16, 16, 2)

    def forward(self, x):
        x = self.second(self.first(x))
        n, c, h, w = x.shape
        rows = F.softmax(x.reshape([n, c, h * w]).transpose([0, 2, 1]))
        x = rows.transpose([0, 2, 1]).reshape([n, c, h, w])
        return x[:, :, h // 2 :] * paddle.arange(w).astype("float32")


class Several(nn.Layer):
    """An output of each network."""

    def __init__(self, *networks):
        super().__init__()
        self.networks = nn.LayerList(networks)

    def forward(self, x):
        return [network(x) for network in self.networks]


class Parts(nn.Layer):
    """Pooled to a number of parts, then flattened: classes of pictures of any size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Unit(3, 16, 2), Unit(16, 16)
        self.pool, self.linear = nn.AdaptiveAvgPool2D((3, 2)), nn.Linear(96, 5)

    def forward(self, x):
        return self.linear(self.pool(self.second(self.first(x))).flatten(1))


class Flattened(nn.Layer):
    """For pictures of 16x24 alone."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.linear = Unit(3, 16, 2), Unit(16, 16), nn.Linear(16 * 8 * 12, 5)

    def forward(self, x):
        return self.linear(self.second(self.first(x)).flatten(1))


class BroughtToSize(nn.Layer):
    """Its maps are 16x24, whatever the picture."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Unit(3, 16, 2), Unit(16, 4)

    def forward(self, x):
        return F.interpolate(self.second(self.first(x)), size=[16, 24], mode="bilinear")


class Counted(BroughtToSize):
    """Counts its columns where Paddle's tracer sees nothing."""

    def forward(self, x):
        maps = self.first(x)
        return self.second(maps) * columns(maps)


@paddle.jit.not_to_static
def columns(maps):
    return float(len(range(maps.shape[3]))) + 1.0
