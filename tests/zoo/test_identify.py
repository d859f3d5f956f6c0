import time

import pytest
from paddle import nn

from spconvify import SPConv2D, zoo
from spconvify.errors import ArgumentError, CheckpointError
from spconvify.zoo.catalogue import entry

CUSTOM = "for a network of your own use model_or_arch='package.module:factory'"
TWINS = ("shufflenet_v2_x1_0", "shufflenet_v2_swish")


def shapes_of(layer):
    return {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}


def built(name, **settings):
    return shapes_of(zoo.find(name, **settings).build(lazy=True))


def converted(shapes, **options):
    """The shapes with every dense 3x3 of a bottleneck width replaced by an SPConv2D's own keys."""
    result = {}
    for key, shape in shapes.items():
        site = key[: -len(".weight")]
        if len(shape) == 4 and shape[2:] == (3, 3) and shape[1] > 3 and shape[0] % 2 == 0:
            layer = SPConv2D(shape[1], shape[0], **options)
            result.update({f"{site}.{own}": s for own, s in shapes_of(layer).items()})
        else:
            result[key] = shape
    return {key: s for key, s in result.items() if not _bias_of_site(key, result)}


def _bias_of_site(key, shapes):
    return key.endswith(".bias") and f"{key[: -len('.bias')]}.gwc.weight" in shapes


@pytest.mark.parametrize("name", zoo.names())
def test_every_architecture_is_identified_with_any_head_and_stem(name):
    shapes = built(name, num_classes=37, in_channels=2)
    found = zoo.identify(shapes)
    if name in TWINS:
        assert found == zoo.Architecture(TWINS[0], 37, 2, ambiguous_with=TWINS[1:])
        assert zoo.identify(shapes, name).name == name
    else:
        assert found == zoo.Architecture(name, 37, 2, width=entry(name).width)
        assert zoo.identify(shapes, name) == found


@pytest.mark.parametrize("name", ["resnet50", "LeNet", "squeezenet1_0", "googlenet", "vgg16_cifar"])
def test_the_defaults_are_identified(name):
    assert zoo.identify(built(name)) == zoo.find(name)


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "vgg16_cifar", "densenet121", "googlenet"])
@pytest.mark.parametrize(
    "options",
    [{"fusion": "gap"}, {"ratio": 0.25}, {"fusion": "gap", "bias_attr": None}],
    ids=["gap", "sum", "bias"],
)
def test_a_converted_checkpoint_is_identified(name, options):
    shapes = converted(built(name, num_classes=37, in_channels=1), **options)
    assert len(zoo.spconv_sites(shapes)) > 4
    assert zoo.identify(shapes) == zoo.Architecture(name, 37, 1)


@pytest.mark.parametrize("name", ["resnet34", "vgg13_bn", "mobilenet_v2", "googlenet", "LeNet"])
def test_a_trunk_without_its_head_is_identified(name):
    assert zoo.identify(built(name, num_classes=0)) == zoo.find(name, num_classes=0)


def test_identification_is_quick():
    shapes = built("densenet264")
    zoo.identify(shapes)
    start = time.perf_counter()
    zoo.identify(shapes)
    assert time.perf_counter() - start < 0.5


def message(shapes, name=None):
    with pytest.raises(CheckpointError) as error:
        zoo.identify(shapes, name)
    return str(error.value)


def test_a_near_miss_names_the_nearest_and_what_differs():
    shapes = built("resnet50", num_classes=10)
    shapes["conv1.weight"] = (64, 3, 3, 3)
    shapes["fc.bias"] = (11,)
    shapes["layer1.0.conv1.weight"] = (64, 64)
    del shapes["layer4.2.bn3.weight"]
    shapes["ema.decay"] = ()
    assert message(shapes) == (
        "the checkpoint fits no known architecture; most like resnet50 (99 % of the keys in common), "
        "with missing: 'layer4.2.bn3.weight'; unexpected: 'ema.decay'; "
        "misshaped: 'fc.weight' is 2048x10 instead of 2048x11, "
        "'layer1.0.conv1.weight' is 64x64 instead of 64x64x1x1, "
        f"'conv1.weight' is 64x3x3x3 instead of 64x3x7x7; {CUSTOM}"
    )


def test_a_long_list_of_differences_is_cut():
    shapes = {key: shape for key, shape in built("vgg11").items() if not key.startswith("classifier")}
    shapes.update({f"head.{i}": () for i in range(5)})
    del shapes["features.0.bias"]
    shapes["features.3.weight"] = ()
    assert message(shapes, "vgg11") == (
        "the checkpoint doesn't fit vgg11: "
        "missing: 'classifier.0.bias', 'classifier.0.weight', 'classifier.3.bias' and 4 more; "
        "unexpected: 'head.0', 'head.1', 'head.2' and 2 more; "
        f"misshaped: 'features.3.weight' is a scalar instead of 128x64x3x3; {CUSTOM}"
    )


def test_a_wider_network_of_the_same_family_is_like_the_family():
    shapes = {
        key: tuple(2 * size if size >= 64 else size for size in shape)
        for key, shape in built("resnet34").items()
    }
    assert message(shapes).startswith(
        "the checkpoint fits no known architecture; most like resnet34 (100 % of the keys in common), "
        "with misshaped: "
    )


def test_shapes_decide_between_networks_with_the_same_keys():
    shapes = built("wide_resnet50_2")
    shapes["conv1.weight"] = (64, 3, 3, 3)
    assert "most like wide_resnet50_2 (100 % of the keys in common)" in message(shapes)


def test_the_wrong_architecture_says_which_one_fits():
    text = message(built("resnet20"), "resnet56")
    assert text.startswith("the checkpoint doesn't fit resnet56: missing: 'layer1.3.bn1._mean', ")
    assert text.endswith(" more; it fits resnet20")


def test_no_key_in_common():
    assert message({"module.fc.weight": (2, 3), "\n" + 500 * "x": ()}) == (
        "the checkpoint has no key in common with any known architecture "
        f"('module.fc.weight', '\\n{'x' * 55}...{'x' * 58}'); {CUSTOM}"
    )


def test_the_keys_of_a_program():
    keys = {"conv2d_0.weight": (8, 3, 3, 3), "batch_norm2d_0._mean": (8,)}
    assert message(keys).endswith("whose folder is to be named: model_or_arch='PROGRAM'")
    assert message({**keys, "fc.weight": (2, 3)}).endswith(CUSTOM)


def test_no_parameters():
    assert message({}) == "the checkpoint holds no parameters, so there is no network to identify"


def test_a_width_of_zero_is_no_head():
    shapes = built("resnet18")
    shapes["fc.weight"], shapes["fc.bias"] = (512, 0), (0,)
    assert "misshaped: 'fc.bias' is 0 instead of N, 'fc.weight' is 512x0 instead of 512xN" in message(
        shapes
    )


def test_an_unknown_architecture_is_a_wrong_call():
    with pytest.raises(ArgumentError, match="architecture 'resnet21' is unknown; did you mean"):
        zoo.identify({"fc.weight": (2, 3)}, "resnet21")


def test_a_damaged_conversion_is_named():
    shapes = converted(built("resnet18"))
    del shapes["layer1.0.conv1.pwc.weight"]
    assert message(shapes) == (
        "SPConv at 'layer1.0.conv1': 'layer1.0.conv1.pwc.weight' is missing; is the checkpoint complete?"
    )


def test_a_network_that_is_an_spconv_itself_is_unknown():
    assert message(shapes_of(SPConv2D(8, 8))).startswith("the checkpoint has no key in common")


def test_other_weights_of_a_mobilenet_are_not_taken_for_it():
    import paddle
    from paddle.vision.models import mobilenet_v2

    with paddle.LazyGuard():
        shapes = shapes_of(mobilenet_v2(scale=0.5))
    assert "most like mobilenet_v2 (100 % of the keys in common)" in message(shapes)


def test_a_layer_of_paddle_is_no_architecture():
    assert "no key in common" in message(shapes_of(nn.Sequential(nn.Linear(2, 3))))
