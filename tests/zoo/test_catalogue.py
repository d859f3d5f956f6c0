import subprocess
import sys

import paddle
import paddle.vision.models
import pytest
from paddle import nn

from spconvify import zoo
from spconvify.errors import ArgumentError

CUSTOM = "for a network of your own use model_or_arch='package.module:factory'"
ONE_PER_FAMILY = (
    "resnet18 resnext50_32x4d wide_resnet50_2 vgg11 vgg11_bn mobilenet_v1 mobilenet_v2 "
    "mobilenet_v3_small densenet121 alexnet squeezenet1_1 googlenet shufflenet_v2_x0_25 inception_v3 "
    "LeNet resnet20 vgg16_cifar"
).split()


def stem(network):
    return next(layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D))


def test_names_are_all_constructors_of_paddle_and_ours():
    constructors = {name for name in paddle.vision.models.__all__ if name.islower() or name == "LeNet"}
    assert len(constructors) == 39
    ours = {"resnet20", "resnet56", "vgg16_cifar", "resnet18_small"}
    with_norms = {"vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"}
    assert set(zoo.names()) == constructors | ours | with_norms
    assert len(zoo.names()) == 47


def test_names_and_identification_need_no_paddle():
    code = (
        "import sys; from spconvify import errors, zoo; zoo.names(); zoo.find('resnet18').input_shape\n"
        "try: zoo.identify({'fc.weight': (2, 3)})\n"
        "except errors.CheckpointError: pass\n"
        "sys.exit('paddle' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_every_family_takes_any_number_of_classes_and_input_channels(name):
    architecture = zoo.find(name, num_classes=37, in_channels=5)
    network = architecture.build(lazy=True)
    assert stem(network).weight.shape == [
        *stem(network).weight.shape[:1],
        5,
        *stem(network)._kernel_size,
    ]
    assert stem(network)._in_channels == 5
    assert network.state_dict().keys() == zoo.find(name).build(lazy=True).state_dict().keys()
    assert any(37 in parameter.shape for parameter in network.parameters())


@pytest.mark.parametrize("name", ["LeNet", "resnet20", "mobilenet_v3_small", "squeezenet1_1"])
def test_a_network_with_other_channels_and_classes_runs_and_trains(name):
    architecture = zoo.find(name, num_classes=7, in_channels=2)
    network = architecture.build()
    assert network.training
    size = min(architecture.input_shape[2], 64)
    output = network(paddle.randn([2, 2, size, size]))
    assert output.shape == [2, 7]
    output.sum().backward()
    assert stem(network).weight.grad is not None
    assert float(stem(network).weight.abs().sum()) > 0


def test_the_stem_keeps_its_settings():
    plain, grey = (
        zoo.find("resnet18").build(lazy=True),
        zoo.find("resnet18", in_channels=1).build(lazy=True),
    )
    assert stem(grey).extra_repr() == stem(plain).extra_repr().replace("3, 64", "1, 64", 1)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet18", (1, 3, 224, 224)),
        ("inception_v3", (1, 3, 299, 299)),
        ("LeNet", (1, 1, 28, 28)),
        ("resnet20", (1, 3, 32, 32)),
    ],
)
def test_input_shape_is_what_the_network_was_designed_for(name, shape):
    assert zoo.find(name).input_shape == shape


def test_input_shape_follows_the_input_channels():
    assert zoo.find("resnet56", in_channels=1).input_shape == (1, 1, 32, 32)


def test_a_headless_trunk_gives_features():
    features = zoo.find("resnet18", num_classes=0).build()(paddle.randn([1, 3, 32, 32]))
    assert features.shape[:2] == [1, 512]


def test_a_lazily_built_network_can_be_filled():
    source = zoo.find("resnet20", num_classes=4).build()
    target = zoo.find("resnet20", num_classes=4).build(lazy=True)
    assert not any(tensor._is_initialized() for tensor in target.state_dict().values())
    values = source.state_dict()
    for name, tensor in target.state_dict().items():
        tensor.set_value(values[name].numpy())
    source.eval()
    target.eval()
    x = paddle.randn([1, 3, 32, 32])
    assert bool((source(x) == target(x)).all())
    assert [p.name for p in source.parameters()] == [p.name for p in target.parameters()]


def test_building_twice_gives_the_same_parameter_names():
    first, second = (zoo.find("LeNet").build() for _ in range(2))
    assert [p.name for p in first.parameters()] == [p.name for p in second.parameters()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "resnet-50",
            "architecture 'resnet-50' is unknown; did you mean resnet50 or resnet56 or resnet20?",
        ),
        (
            "VGG16_BN",
            "architecture 'VGG16_BN' is unknown; did you mean vgg16_bn or vgg19_bn or vgg13_bn?",
        ),
        ("lenet", "architecture 'lenet' is unknown; did you mean LeNet or alexnet or googlenet?"),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones(name, message):
    with pytest.raises(ArgumentError) as error:
        zoo.find(name)
    assert str(error.value) == f"{message}; {CUSTOM}"


def test_a_name_that_is_like_none_gets_them_all():
    with pytest.raises(ArgumentError) as error:
        zoo.find("yolo")
    assert (
        str(error.value)
        == f"architecture 'yolo' is unknown; known are {', '.join(zoo.names())}; {CUSTOM}"
    )


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet18", {"num_classes": -1}, "resnet18 can't have -1 classes; 0 is the least"),
        ("squeezenet1_0", {"num_classes": 0}, "squeezenet1_0 can't have 0 classes; 1 is the least"),
        ("LeNet", {"in_channels": 0}, "LeNet can't have 0 input channels; 1 is the least"),
    ],
)
def test_too_few_classes_or_channels(name, settings, message):
    with pytest.raises(ArgumentError) as error:
        zoo.find(name, **settings)
    assert str(error.value) == message
