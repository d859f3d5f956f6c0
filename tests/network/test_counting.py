"""Parameters and MACs against closed forms."""

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, SPConv2D, convert, cost


def test_closed_form_of_a_convolution():
    counted = cost(nn.Conv2D(8, 4, 3, stride=2, groups=2), (2, 8, 9, 9))
    assert counted.macs == 2 * 4 * 4 * 4 * (8 // 2 * 9)
    assert counted.params == 4 * 4 * 9 + 4
    assert counted.layers[0].output_shape == (2, 4, 4, 4)


@pytest.mark.parametrize(("ratio", "share"), [(0.5, 0.3611), (0.25, 0.2361)])
def test_closed_form_of_spconv(ratio, share):
    layer = SPConv2D(64, 32, ratio=ratio, fusion="sum")
    counted = cost(layer, (1, 64, 10, 10))
    convolutions = counted.macs - counted.overhead
    assert convolutions / (9 * 64 * 32 * 100) == pytest.approx(share, abs=1e-4)
    assert counted.params == convolutions // 100
    assert counted.overhead == 2 * 32 * 100  # two additions


def test_spconv_is_one_row_with_its_overhead():
    counted = cost(SPConv2D(8, 4, fusion="gap"), (1, 8, 6, 6))
    (row,) = counted.layers
    pixels = 4 * 36
    gate = 2 * pixels + 4 + 4 + 4 + 2 * pixels + pixels  # two averages, gate, 1 - gate, products, sum
    assert row.kind == "SPConv2D"
    assert row.overhead == pytest.approx(2 * 2 * pixels + pixels + gate, abs=8)


def test_column_sums_are_the_total():
    converted = convert(nets.PlainNet(), fusion="gap")
    counted = cost(converted, (1, 3, 16, 16))
    assert counted.macs == sum(layer.macs for layer in counted.layers)
    assert counted.params == sum(int(np.prod(p.shape)) for p in converted.parameters() if p.trainable)


def test_frozen_parameters_count():
    model = nets.PlainNet()
    full = cost(model, (1, 3, 8, 8)).params
    model.conv1.weight.trainable = False
    assert cost(model, (1, 3, 8, 8)).params == full


def test_shared_layer_counts_parameters_once_and_macs_every_time():
    counted = cost(nets.SharedConvNet(), (1, 8, 5, 5))
    assert counted.params == 8 * 8 * 9 + 8
    assert counted.macs == 3 * 8 * 25 * 8 * 9


def test_unused_layer_has_parameters_and_no_macs():
    counted = cost(nets.UnusedNet(), (1, 8, 5, 5))
    assert counted.macs == 8 * 25 * 8 * 9
    assert {layer.name: layer.macs for layer in counted.layers}["unused"] == 0


class Functional(nn.Layer):
    def forward(self, x):
        y = paddle.matmul(x, x, transpose_y=True) + x @ x.transpose([0, 2, 1])
        return y.matmul(x) + paddle.bmm(y, x) + nn.functional.softmax(x)


def test_functional_products_are_seen_and_the_rest_is_listed():
    counted = cost(Functional(), (2, 3, 5))
    assert counted.macs == 2 * (2 * 3 * 3 * 5) + 2 * (2 * 3 * 5 * 3)
    assert counted.uncounted == {"add": 3, "softmax": 1}


def test_transposed_x():
    class Net(nn.Layer):
        def forward(self, x):
            return paddle.matmul(x, x, transpose_x=True)

    assert cost(Net(), (7, 5)).macs == 5 * 5 * 7


def test_other_layers():
    assert cost(nn.Conv2DTranspose(4, 6, 3, stride=2), (1, 4, 5, 5)).macs == 4 * 25 * 6 * 9
    assert cost(nn.Linear(5, 7), (3, 5)).macs == 3 * 5 * 7
    assert cost(nn.BatchNorm2D(4), (1, 4, 5, 5)).macs == 2 * 100
    assert cost(nn.Conv3D(2, 3, 3), (1, 2, 5, 5, 5)).macs == 3 * 27 * 2 * 27


def test_leaves_no_trace():
    model = nets.PlainNet()
    operators = {k: id(v) for k, v in vars(paddle._C_ops).items()}
    call = nn.Layer.__call__
    mean = model.bn._mean.numpy().copy()
    cost(model, (1, 3, 8, 8))
    with pytest.raises(ArgumentError, match="doesn't run on an input of 1x4x8x8"):
        cost(model, (1, 4, 8, 8))
    assert {k: id(v) for k, v in vars(paddle._C_ops).items()} == operators
    assert nn.Layer.__call__ is call
    assert model.training
    assert model.bn.training
    np.testing.assert_array_equal(model.bn._mean.numpy(), mean)


def test_resnet50_agrees_with_the_paper():
    """Table 3: 25.56 M and 4.14 G; 18.34 / 16.93 / 16.22 M, MACs down by 28.3 / 33.8 / 36.7 %.

    That is the paper's own operator, whose fusion is "gap".
    """
    model = paddle.vision.models.resnet50()
    before = cost(model, (1, 3, 224, 224))
    assert f"{before.params / 1e6:.2f}" == "25.56"
    assert before.macs == pytest.approx(4.14e9, rel=0.01)
    for ratio, params, percent in ((0.5, "18.34", 28.3), (0.25, "16.93", 33.8), (0.125, "16.22", 36.7)):
        after = cost(convert(model, ratio, fusion="gap"), (1, 3, 224, 224))
        assert f"{after.params / 1e6:.2f}" == params
        assert 100 * (1 - after.macs / before.macs) == pytest.approx(percent, abs=0.5)


def test_agrees_with_paddle_flops():
    """On a network of convolutions, BatchNorm and one linear layer paddle.flops counts the same."""
    model = nets.PlainNet()
    model.stem = nn.Conv2D(3, 8, 3, padding=1, bias_attr=False)
    shapes = cost(model, (1, 3, 16, 16))
    expected = (8 * 256 * 27) + 2 * 8 * 256 + 12 * 64 * 72 + 16 * 64 * 108 + 8 * 64 * 16 + 8 * 5
    assert shapes.macs == expected


def product(run, *shapes):
    """MACs of a function of tensors with these shapes; the network's input says nothing."""
    tensors = [paddle.ones(list(shape)) for shape in shapes]

    class Net(nn.Layer):
        def forward(self, x):
            return run(*tensors)

    return cost(Net(), (1,))


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("bij,bjk->bik", [(2, 3, 5), (2, 5, 7)], 2 * 3 * 5 * 7),
        ("bij, bjk", [(2, 3, 5), (2, 5, 7)], 2 * 3 * 5 * 7),
        ("ij,jk", [(3, 5), (5, 7)], 3 * 5 * 7),
        ("...ij,...jk->...ik", [(2, 4, 3, 5), (2, 4, 5, 7)], 2 * 4 * 3 * 5 * 7),
        ("...ij,jk->...ik", [(2, 4, 3, 5), (5, 7)], 2 * 4 * 3 * 5 * 7),
        ("nchw,nchw->nc", [(2, 3, 4, 5), (2, 3, 4, 5)], 2 * 3 * 4 * 5),
        ("i,j->ij", [(3,), (7,)], 3 * 7),
        ("i,i->", [(6,), (6,)], 6),
        ("ij,k->k", [(3, 5), (7,)], 7),
        ("ij->i", [(3, 5)], 0),
        ("ii->i", [(5, 5)], 0),
        ("bij,bjk,bkl->bil", [(2, 3, 5), (2, 5, 7), (2, 7, 4)], 2 * 3 * 5 * 7 + 2 * 3 * 7 * 4),
    ],
)
def test_einsum(equation, shapes, macs):
    assert product(lambda *tensors: paddle.einsum(equation, *tensors), *shapes).macs == macs


@pytest.mark.parametrize(
    ("layer", "shape", "weights"),
    [
        (lambda: nn.LSTM(4, 6), (2, 3, 4), 4 * 6 * (4 + 6)),
        (lambda: nn.GRU(4, 6), (2, 3, 4), 3 * 6 * (4 + 6)),
        (lambda: nn.SimpleRNN(4, 6), (2, 3, 4), 6 * (4 + 6)),
        (lambda: nn.LSTM(4, 6, time_major=True), (2, 3, 4), 4 * 6 * (4 + 6)),
        (lambda: nn.LSTM(4, 6, num_layers=2), (2, 3, 4), 4 * 6 * (4 + 6) + 4 * 6 * (6 + 6)),
        (
            lambda: nn.GRU(4, 6, num_layers=2, direction="bidirect"),
            (2, 3, 4),
            2 * 3 * 6 * (4 + 6) + 2 * 3 * 6 * (12 + 6),
        ),
        (lambda: nn.RNN(nn.LSTMCell(4, 6)), (2, 3, 4), 4 * 6 * (4 + 6)),
    ],
)
def test_recurrent_layers(layer, shape, weights):
    assert cost(layer(), shape).macs == 2 * 3 * weights


def test_bilinear():
    layer = nn.Bilinear(4, 5, 6)
    assert product(lambda a, b: layer(a, b), (3, 4), (3, 5)).macs == 3 * 6 * 4 * 5


def test_products_that_have_no_formula_are_named():
    counted = product(lambda *tensors: paddle.linalg.multi_dot(list(tensors)), (3, 4), (4, 5), (5, 6))
    assert counted.macs == 0
    assert counted.uncounted == {"multi_dot": 1}
