"""What eval mode never runs is left alone; what is better merged beforehand is said."""

import warnings

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ConversionError, NoEffectWarning, SPConv2D, convert, plan, slim
from spconvify.surgery.reach import MergeFirstWarning, UnreachedWarning, reached_part


class Auxiliary(nn.Layer):
    """A head that helps the training only."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.aux = nets.conv(3), nets.conv(), nn.Sequential(nets.conv(), nn.ReLU())

    def forward(self, x):
        x = self.stem(x)
        return (self.conv(x), self.aux(x)) if self.training else self.conv(x)


@pytest.mark.parametrize("inplace", [True, False])
def test_auxiliary_heads_are_left_alone_and_named(inplace):
    model = Auxiliary()
    with pytest.warns(UnreachedWarning, match=r"left alone, since eval mode never runs them: 'aux\.0'"):
        converted = convert(model, fusion="sum", inplace=inplace)
    assert isinstance(converted.conv, SPConv2D)
    assert type(converted.aux[0]) is nn.Conv2D
    assert converted.training


def test_they_are_among_the_skipped_ones_of_the_plan():
    model = Auxiliary()
    whole = plan(model)
    with pytest.warns(UnreachedWarning):
        part = reached_part(model, whole, (1, 3, 16, 16))
    assert list(part.sites) == ["conv"]
    assert part.skipped["aux.0"].startswith("never run in eval mode")
    assert "aux.0" in whole.sites


@pytest.mark.filterwarnings("ignore::spconvify.surgery.reach.UnreachedWarning")
def test_nothing_left_is_said():
    with pytest.warns(NoEffectWarning, match="1x never run in eval mode"):
        convert(nets.UnusedNet(), exclude="conv")


class LargeImagesOnly(nn.Layer):
    """A path that small images don't take."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nets.conv(3), nets.conv()

    def forward(self, x):
        x = self.stem(x)
        return self.conv(x) if x.shape[2] > 100 else x


def test_paths_of_larger_images_are_found():
    assert list(reached_part(LargeImagesOnly(), plan(LargeImagesOnly())).sites) == ["conv"]
    with pytest.warns(UnreachedWarning):
        assert not reached_part(LargeImagesOnly(), plan(LargeImagesOnly()), (1, 3, 32, 32)).sites


class Rep(nn.Layer):
    """A RepVGG block: its own merging reads the weights of its branches."""

    def __init__(self, merged=False):
        super().__init__()
        self.conv3, self.conv1, self.conv, self.merged = (
            nets.conv(),
            nn.Conv2D(8, 8, 1),
            nets.conv(),
            merged,
        )

    def forward(self, x):
        return self.conv(x) if self.merged else self.conv3(x) + self.conv1(x)

    def convert_to_deploy(self):
        self.merged = True


@pytest.mark.filterwarnings("ignore::spconvify.surgery.reach.UnreachedWarning")
def test_a_hint_to_merge_first():
    with pytest.warns(MergeFirstWarning, match=r"layer '1' \(Rep\) has a method convert_to_deploy\(\)"):
        convert(nn.Sequential(nets.conv(3), Rep()))
    with warnings.catch_warnings():
        warnings.simplefilter("error", MergeFirstWarning)
        converted = convert(nn.Sequential(nets.conv(3), Rep(merged=True)))
    assert isinstance(converted[1].conv, SPConv2D)
    assert type(converted[1].conv3) is nn.Conv2D


class Boxes(nn.Layer):
    """As many rows as the values have it."""

    def __init__(self, threshold=0.0):
        super().__init__()
        self.stem, self.conv, self.head = nets.conv(3), nets.conv(), nn.Conv2D(8, 5, 1)
        self.threshold = threshold

    def forward(self, x):
        y = (
            self.head(nn.functional.relu(self.conv(self.stem(x))))
            .transpose([0, 2, 3, 1])
            .reshape([-1, 5])
        )
        return y[y[:, 0] > self.threshold]


def test_sizes_that_the_values_decide_may_change():
    paddle.seed(0)
    assert isinstance(convert(Boxes(), input_shape=(1, 3, 16, 16)).conv, SPConv2D)


class SizeOfWeights(nn.Layer):
    """The size of the output is that of a layer's sub-layers, which a conversion changes."""

    def __init__(self):
        super().__init__()
        self.conv = nets.conv()

    def forward(self, x):
        return self.conv(x)[:, : 1 + len(list(self.conv.children()))]


def test_other_sizes_may_not():
    with pytest.raises(ConversionError, match="other values of the input don't change it"):
        convert(SizeOfWeights(), fusion="sum", input_shape=(1, 8, 6, 6))


class ByBrightness(nn.Layer):
    """A path that only bright images take."""

    def __init__(self):
        super().__init__()
        self.stem, self.dark, self.bright = nets.conv(3), nets.conv(), nets.conv()

    def forward(self, x):
        return (self.bright if float(x.mean()) > 0.5 else self.dark)(self.stem(x))


def test_what_the_calibration_images_run_is_reached():
    model = ByBrightness()
    batches = [np.random.default_rng(0).standard_normal((8, 3, 16, 16)).astype("float32") + 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnreachedWarning)
        assert len(reached_part(model, plan(model), None, batches).sites) == 2
        converted = convert(model, fusion="sum", init="lstsq", calibration=batches)
        slimmed = slim(model, fusion="sum", calibration=batches, progress=False).network
    assert isinstance(converted.bright, SPConv2D)
    assert isinstance(slimmed.bright, SPConv2D)
    with pytest.warns(UnreachedWarning, match="'bright'"):
        reached_part(model, plan(model))
