"""Why a network doesn't run: another input is the remedy only where it can help."""

import threading

import networks as nets
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from spconvify import ArgumentError, convert, cost, fuse
from spconvify.errors import CheckpointError, ConversionError, Option, SpconvifyError
from spconvify.network.failures import does_not_run

SHAPE = (1, 3, 16, 16)
ANOTHER = "; give another input_shape="


def network(forward, **parts):
    """A network with one convolution whose forward is `forward`."""

    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2D(3, 8, 3, padding=1)
            for name, part in parts.items():
                setattr(self, name, part)

    Net.forward = forward
    return Net()


def message(model, shape=SHAPE):
    with pytest.raises(ArgumentError) as error:
        cost(model, shape)
    text = str(error.value)
    assert text.startswith(f"the network doesn't run on an input of {'x'.join(map(str, shape))}: ")
    return text


def number_of_classes(self, x):
    assert x.shape[-1] == 224
    return self.conv(x)


@pytest.mark.parametrize(
    "model",
    [
        network(lambda self, x: self.conv(x[:, :2])),
        network(lambda self, x: self.fc(self.conv(x).flatten(1)), fc=nn.Linear(99, 4)),
        network(lambda self, x: self.conv(x) + self.conv(x)[:, :, :5]),
        network(lambda self, x: self.conv(x).reshape([1, 7])),
        network(lambda self, x: F.pixel_shuffle(self.conv(x[:, :, :, :5]), 3)),
        network(number_of_classes),
    ],
)
def test_another_input_where_it_can_help(model):
    assert message(model).endswith(ANOTHER)


def a_setting(self, x):
    raise ValueError("(InvalidArgument) 'epsilon' in Op(LayerNorm) should be between 0.0 and 0.001")


def test_no_input_makes_up_for_a_setting_that_paddle_refuses():
    assert message(network(a_setting)).endswith("between 0.0 and 0.001")


def no_attribute(self, x):
    return self.backbone(x)


def no_module(self, x):
    import a_module_that_is_not_there

    return a_module_that_is_not_there(x)


def no_file(self, x):
    return open("no such file of weights")


def no_name(self, x):
    return convolution(x)  # noqa: F821


def no_key(self, x):
    return {"a": x}["b"]


def no_memory(self, x):
    raise MemoryError


def wraps_an_error_of_code(self, x):
    try:
        return self.backbone(x)
    except AttributeError as error:
        raise ValueError("no features for this shape") from error


def says_nothing_of_sizes(self, x):
    raise RuntimeError("the licence has expired")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (network(no_attribute), "'Net' object has no attribute 'backbone' (test_failures.py, line"),
        (network(no_module), "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        (network(no_file), "FileNotFoundError: [Errno 2]"),
        (network(no_name), "NameError: name 'convolution' is not defined"),
        (network(no_key), "KeyError: 'b'"),
        (network(wraps_an_error_of_code), "no features for this shape"),
        (network(lambda self, x: [x][3]), "list index out of range"),
        (network(says_nothing_of_sizes), "the licence has expired"),
        (network(no_memory), "free some, or take a smaller batch"),
        (network(lambda self, x: self.conv(x.astype("float64"))), "float"),
        (network(lambda self, x: self.embed(x), embed=nn.Embedding(9, 4)), "only support int32"),
        (network(lambda self, x, scale: self.conv(x) * scale), "wrap it in a layer that takes one"),
        (network(lambda self, *, x: self.conv(x)), "its forward takes other arguments"),
        (network(lambda self, inputs: self.conv(inputs["image"])), "seems to take a dictionary"),
        (network(lambda self, inputs: self.conv(inputs.get("image"))), "seems to take a dictionary"),
        (network(lambda self, inputs: [v for _, v in inputs.items()]), "seems to take a dictionary"),
        (network(lambda self, x: self.conv(image=x)), "argument"),
    ],
)  # fmt: skip
def test_no_other_input_where_it_cannot_help(model, says):
    text = message(model)
    assert says in text
    assert "input_shape" not in text
    assert "--" not in text


def test_several_inputs_in_one_argument():
    def forward(self, inputs):
        image, scale = inputs
        return self.conv(image) * scale

    assert "several inputs" in message(network(forward))


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="this Paddle has the kernel")
def test_sync_batch_norm_on_a_cpu_names_its_remedy():
    model = network(lambda self, x: self.norm(self.conv(x)), norm=nn.SyncBatchNorm(8))
    text = message(model)
    assert "use nn.BatchNorm2D in its place" in text
    assert "input_shape" not in text
    model.eval()
    with pytest.raises(ArgumentError, match=r"use nn\.BatchNorm2D in its place"):
        fuse(model)


def test_fuse_without_a_shape_asks_for_one_only_where_it_helps():
    fitting = network(lambda self, x: self.fc(self.conv(x).flatten(1)), fc=nn.Linear(99, 4))
    fitting.eval()
    with pytest.raises(ArgumentError, match=r"runs on no usual input.*give input_shape="):
        fuse(fitting)
    broken = network(no_attribute)
    broken.eval()
    with pytest.raises(ArgumentError) as error:
        fuse(broken)
    assert "input_shape" not in str(error.value)


def test_static_mode_says_how_to_leave_it():
    model = nets.PlainNet()
    model.eval()
    paddle.enable_static()
    try:
        for act in (fuse, convert, lambda network: cost(network, SHAPE)):
            with pytest.raises(ArgumentError, match=r"static mode; call paddle.disable_static\(\)"):
                act(model)
    finally:
        paddle.disable_static()


def test_another_remedy_in_the_place_of_the_input():
    error = does_not_run(SHAPE, ValueError("(InvalidArgument) the height is wrong"), "resize the images")
    assert str(error).endswith("the height is wrong; resize the images")


def test_a_message_of_parts_in_both_words():
    def write(option):
        return f"<{option.name}>"

    inner = ConversionError("exclude it with ", Option("exclude", "a'b"))
    outer = CheckpointError("can't read x: ", inner, " or ", Option("input_shape"))
    assert str(outer) == "can't read x: exclude it with exclude=\"a'b\" or input_shape="
    assert outer.text(write) == "can't read x: exclude it with <exclude> or <input_shape>"
    assert str(SpconvifyError("plain")) == "plain"


class Holds(nets.PlainNet):
    def __init__(self, thing):
        super().__init__()
        self.bn.guard = thing


class Refuses:
    def __deepcopy__(self, memo):
        raise RuntimeError("there is only one")


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (threading.Lock, "layer 'bn', attribute 'guard' is a lock: "),
        (lambda: (i for i in range(3)), "layer 'bn', attribute 'guard' is a generator: "),
        (lambda: open(__file__), "layer 'bn', attribute 'guard' is a TextIOWrapper: "),  # noqa: SIM115
        (Refuses, "layer 'bn', attribute 'guard' is a Refuses: there is only one"),
        (lambda: [threading.Lock()], "layer 'bn', attribute 'guard' is a list: "),
    ],
)
def test_what_cannot_be_copied_is_named(thing, says):
    model = Holds(thing())
    model.eval()
    for act in (convert, fuse, lambda network: fuse(network, inplace=True)):
        with pytest.raises(ArgumentError, match="the network can't be copied") as error:
            act(model)
        assert says in str(error.value)
    assert model.bn.guard is not None


def counted(self, x):
    self.calls = getattr(self, "calls", 0) + 1
    return self.norm(self.conv(x)) + self.calls


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: F.dropout(self.norm(self.conv(x)), 0.5, training=True),
        lambda self, x: self.norm(self.conv(x)) + paddle.randn([1]),
        lambda self, x: self.norm(self.conv(x)) * paddle.bernoulli(paddle.full([1, 8, 1, 1], 0.5)),
        counted,
    ],
)
def test_a_network_that_is_not_deterministic_is_called_that(forward):
    model = network(forward, norm=nn.BatchNorm2D(8))
    model.eval()
    with pytest.raises(ConversionError) as error:
        fuse(model)
    assert "isn't deterministic" in str(error.value)
    assert "folding" not in str(error.value)
