"""Small networks, each named after the pathology it has."""

from __future__ import annotations

import paddle
from paddle import nn


def conv(in_channels=8, out_channels=8, **options):
    return nn.Conv2D(in_channels, out_channels, 3, **{"padding": 1, **options})


# BatchNorms, of so many channels, that normalise by each batch's own statistics in eval mode too.
NORMS_OF_OWN_STATISTICS = {
    "trainable": lambda channels: nn.BatchNorm(channels, trainable_statistics=True),
    "not global": lambda channels: nn.BatchNorm2D(channels, use_global_stats=False),
}


class PlainNet(nn.Layer):
    """Stem, two convertible convolutions (one strided, one with a bias), a 1x1 and a head."""

    def __init__(self, in_channels=3):
        super().__init__()
        self.stem = conv(in_channels)
        self.bn = nn.BatchNorm2D(8)
        self.conv1 = conv(8, 12, stride=2, bias_attr=False)
        self.conv2 = conv(12, 16)
        self.point = nn.Conv2D(16, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = nn.functional.relu(self.bn(self.stem(x)))
        x = self.point(nn.functional.relu(self.conv2(self.conv1(x))))
        return self.head(x.mean(axis=[2, 3]))


class SharedConvNet(nn.Layer):
    """One convolution registered under three names, in two parents."""

    def __init__(self):
        super().__init__()
        self.first = conv()
        self.second = self.first
        self.block = nn.Sequential(self.first, nn.ReLU())

    def forward(self, x):
        return self.block(self.second(self.first(x)))


class ConvInPlainList(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.convs = [self.conv]

    def forward(self, x):
        return self.convs[0](x)


class BoundMethodAlias(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.run = self.conv.forward

    def forward(self, x):
        return self.run(x)


class HiddenAlias(nn.Layer):
    """Holds its convolution in a closure, where only a forward pass can find it."""

    def __init__(self):
        super().__init__()
        self.conv = conv()
        inner = self.conv
        self.run = lambda x: inner(x)

    def forward(self, x):
        return self.run(x)


class HalfHiddenAlias(HiddenAlias):
    """Calls its convolution both by its name and through the closure."""

    def forward(self, x):
        return self.conv(x) + self.run(x)


class ParentReadsWeight(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.other = conv()

    def forward(self, x):
        return self.other(self.conv(x)) * self.conv.weight.mean()


class TiedWeightNet(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv1 = conv()
        self.conv2 = conv()
        self.conv2.weight = self.conv1.weight

    def forward(self, x):
        return self.conv2(self.conv1(x))


class MyConv(nn.Conv2D):
    def forward(self, x):
        return super().forward(x) * 2


class HookedConvNet(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.conv.register_forward_post_hook(lambda layer, inputs, output: output * 3)

    def forward(self, x):
        return self.conv(x)


class WeightNormNet(nn.Layer):
    """The weight of `normed` is computed by a hook; `conv` is an ordinary one."""

    def __init__(self):
        super().__init__()
        self.normed = nn.utils.weight_norm(conv())
        self.conv = conv()

    def forward(self, x):
        return self.conv(self.normed(x))


class NamedParamAttrs(nn.Layer):
    """Parameters with names of their own, which Paddle lets nobody use twice."""

    def __init__(self, name="named_param_attrs"):
        super().__init__()
        attr = paddle.ParamAttr(name=f"{name}_w", learning_rate=0.1)
        self.conv = conv(weight_attr=attr, bias_attr=paddle.ParamAttr(name=f"{name}_b"))

    def forward(self, x):
        return self.conv(x)


class TheseusReturnPatterns(nn.Layer):
    """Hooks keep what some layers return, as PaddleClas does it: of a stage, and of a convolution."""

    def __init__(self):
        super().__init__()
        self.stage = nn.Sequential(conv(), nn.ReLU())
        self.kept = conv()
        self.results = {}
        for name in ("stage", "kept"):
            getattr(self, name).register_forward_post_hook(self._keep(name))

    def _keep(self, name):
        def hook(layer, inputs, output):
            self.results[name] = output
            return output

        return hook

    def forward(self, x):
        self.kept(self.stage(x))
        return self.results


class UnusedNet(nn.Layer):
    """A convolution that the forward pass never reaches."""

    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.unused = conv()

    def forward(self, x):
        return self.conv(x)


class NoneSubLayer(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.maybe = None
        self._sub_layers["maybe"] = None

    def forward(self, x):
        return self.conv(x)


def dotted_names():
    model = nn.Sequential(conv())
    model.add_sublayer("a.b", nn.Sequential(conv(), nn.ReLU()))
    return model


def trained(model: nn.Layer, seed: int = 0) -> nn.Layer:
    """In eval mode, with values as a trained network might have for parameters and statistics."""
    paddle.seed(seed)
    for key, value in model.state_dict().items():
        noise = paddle.randn(value.shape).astype("float32") * 0.3
        if key.endswith("_variance"):
            noise = noise.abs() + 0.5
        elif key.endswith(("bn.weight", "bn1.weight", "bn2.weight")):
            noise = noise + 1.0
        if "int" not in str(value.dtype):
            value.set_value(noise.astype(value.dtype))
    model.eval()
    return model


class RaisesWhenTraced(nn.Layer):
    """Paddle converts equal source only once, whatever file it is in: so there is one of it."""

    def forward(self, x):
        if not paddle.in_dynamic_mode():
            raise RuntimeError("no way")
        return x
