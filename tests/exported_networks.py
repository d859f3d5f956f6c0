"""Small networks for tests of exported programs: each has what made one hard to read."""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.vision.ops import DeformConv2D


class Paddings(nn.Layer):
    def __init__(self):
        super().__init__()
        self.same = nn.Conv2D(4, 8, 3, padding="SAME", stride=2)
        self.uneven = nn.Conv2D(8, 8, 3, padding=[1, 2, 0, 1])
        self.wide = nn.Conv2D(8, 8, 3, padding=2, dilation=2, groups=2, bias_attr=False)
        self.reflected = nn.Conv2D(8, 8, 3, padding=1, padding_mode="reflect")

    def forward(self, x):
        return self.reflected(self.wide(F.leaky_relu(self.uneven(self.same(x)), 0.1)))


class Shared(nn.Layer):
    """A convolution and a BatchNorm that are called several times."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(4, 4, 3, padding=1), nn.BatchNorm2D(4)

    def forward(self, x):
        pooled = self.conv(F.max_pool2d(x, 2, 2).tile([1, 1, 2, 2]))
        return self.norm(self.conv(x)) + self.norm(self.conv(x * 2)) + pooled


class ChannelsLast(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 8, 3, padding=1, data_format="NHWC")
        self.norm = nn.BatchNorm2D(8, data_format="NHWC")
        self.last = nn.Conv2D(8, 8, 3, data_format="NHWC")

    def forward(self, x):
        x = x.transpose([0, 2, 3, 1])
        return F.avg_pool2d(F.relu(self.last(self.norm(self.conv(x)))), 2, 2, data_format="NHWC")


class Line(nn.Layer):
    """One-dimensional layers, whose operators have two dimensions."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1D(4, 8, 3, padding=1), nn.BatchNorm1D(8)
        self.linear, self.flat_norm, self.prelu = nn.Linear(8, 4), nn.BatchNorm1D(4), nn.PReLU(8)

    def forward(self, x):
        x = x.flatten(2)
        return self.flat_norm(self.linear(self.prelu(self.norm(self.conv(x))).mean(-1)))


class Upwards(nn.Layer):
    """Transposed convolution, norms, resizing by a computed size, splits and slices."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 4, 3, padding=1, bias_attr=False)
        self.up = nn.Conv2DTranspose(4, 6, 4, stride=2, padding=1, groups=2)
        self.group_norm, self.instance_norm = nn.GroupNorm(2, 6), nn.InstanceNorm2D(6)

    def forward(self, x):
        y = self.instance_norm(self.group_norm(self.up(self.conv(x))))
        y = F.interpolate(y, size=paddle.shape(x)[2:], mode="bilinear", align_corners=True)
        first, second = paddle.split(y, [2, 4], 1)
        third = paddle.chunk(second, 2, 1)
        small = F.interpolate(second, scale_factor=2, mode="nearest").sum([2, 3], keepdim=True)
        return paddle.concat([first, third[0] * third[1], small * first[:, :1]], 1)[:, 1:, ::2]


class Elementwise(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(4, 4, 3), nn.BatchNorm2D(4)
        self.scale = self.create_parameter([4, 1, 1])

    def forward(self, x):
        x = F.pad(self.norm(self.conv(x)) * self.scale, [1, 1, 2, 2])
        return paddle.clip(F.gelu(F.softplus(x)), 0.1, float("inf")) ** 2


class Attention(nn.Layer):
    """A transformer's block: products of matrices, LayerNorm, reshapes by computed sizes."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(4, 8, 3, padding=1), nn.LayerNorm(8)
        self.qkv, self.out, self.dropout = nn.Linear(8, 24), nn.Linear(8, 8), nn.Dropout(0.1)

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose([0, 2, 1])
        qkv = self.qkv(self.norm(x)).reshape([0, -1, 3, 2, 4]).transpose([2, 0, 3, 1, 4])
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = self.dropout(F.softmax(q.matmul(k, transpose_y=True) * 0.5))
        mixed = weights.matmul(v).transpose([0, 2, 1, 3]).reshape([0, -1, 8])
        return (x + self.out(mixed)).mean(1)


class Indices(nn.Layer):
    """Integers and sums of another size than the usual one; a pooling that rounds upwards."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 8, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        best, usual = paddle.argmax(x, 1, dtype="int32"), paddle.argmax(x, 1)
        exact = paddle.sum(x, axis=1, dtype="float64")
        return best, usual, exact, (x > 0).sum(1), paddle.argmax(x[:, 0, 0])


class Rounding(Indices):
    def forward(self, x):
        return F.max_pool2d(self.conv(x), 3, 2, return_mask=True, ceil_mode=True)


class Recurrent(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.rnn = nn.Conv2D(4, 8, 3, padding=1), nn.LSTM(8, 4)

    def forward(self, x):
        return self.rnn(self.conv(x).flatten(2).transpose([0, 2, 1]))[0]


class Branch(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        if x.mean() > 0:
            x = x + 1
        return x


class TwoInputs(nn.Layer):
    """A picture and words; three outputs, integers among them."""

    def __init__(self):
        super().__init__()
        self.conv, self.again = nn.Conv2D(3, 6, 3, padding=1), nn.Conv2D(6, 6, 3, padding=1)
        self.words, self.linear = nn.Embedding(10, 6), nn.Linear(6, 5)

    def forward(self, image, ids):
        maps = self.again(self.conv(image))
        rows = maps.flatten(2).transpose([0, 2, 1]) + self.words(ids).mean(1, keepdim=True)
        return {"scores": self.linear(rows), "maps": maps, "best": rows.argmax(-1)}


class Deformable(nn.Layer):
    """Convolutions whose taps lie where another one says, with a mask and without."""

    def __init__(self):
        super().__init__()
        self.where, self.mask = nn.Conv2D(4, 36, 3, padding=1), nn.Conv2D(4, 18, 3, padding=1)
        self.first = DeformConv2D(4, 8, 3, padding=1, deformable_groups=2, groups=2)
        self.offsets = nn.Conv2D(8, 18, 3, padding=2, stride=2)
        self.second = DeformConv2D(8, 4, 3, stride=2, padding=2, dilation=2, bias_attr=False)

    def forward(self, x):
        x = self.first(x, self.where(x), F.sigmoid(self.mask(x)))
        return self.second(x, self.offsets(x)[:, :, : (x.shape[2] + 1) // 2, : (x.shape[3] + 1) // 2])


class Padded(nn.Layer):
    """Words, of which the eighth is none, although its row isn't zeros."""

    def __init__(self):
        super().__init__()
        self.words = self.create_parameter([10, 6])

    def forward(self, ids):
        return F.embedding(ids, self.words, padding_idx=7) * 2


ONE_PICTURE = [Paddings, Shared, ChannelsLast, Line, Upwards, Elementwise, Attention, Deformable]


def write(network, prefix, shape=(-1, 4, -1, -1), dtype="float32"):
    """Export it as its users do; the path of the program."""
    network.eval()
    spec = paddle.static.InputSpec(list(shape), dtype, "x")
    paddle.jit.save(network, str(prefix), input_spec=[spec])
    return next(p for p in (prefix.with_suffix(".json"), prefix.with_suffix(".pdmodel")) if p.exists())


def write_two_inputs(prefix):
    """`TwoInputs` as its users export it: pictures of any size, and seven words."""
    network = TwoInputs()
    network.eval()
    specs = [
        paddle.static.InputSpec([None, 3, None, None], "float32", "image"),
        paddle.static.InputSpec([None, 7], "int64", "ids"),
    ]
    paddle.jit.save(network, str(prefix), input_spec=specs)
    return network
