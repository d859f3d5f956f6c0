"""What a network is run on: read from what people have, and what is made of it."""

import numpy as np
import paddle
import pytest
from input_networks import IMAGE, SCALE, OfDictionary, OfList, Scaled, Siamese, made
from paddle import nn

from spconvify import ArgumentError, cost
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs
from spconvify.network.run import NoUsualInputError, run, run_usual


def test_how_forward_takes_it():
    assert Inputs.of([IMAGE, SCALE], made(Scaled)).said == {"image": IMAGE, "scale": SCALE}
    assert Inputs.of({"scale": SCALE, "image": IMAGE}, made(Scaled)).args == ()
    assert len(Inputs.of([IMAGE, IMAGE], made(Siamese)).args) == 2
    assert len(Inputs.of([IMAGE, IMAGE], made(OfList)).args) == 1
    assert Inputs.of([IMAGE], made(Siamese)).is_plain
    assert len(Inputs.of({"image": IMAGE, "label": (2,)}, made(OfDictionary)).args) == 1
    explicit = Inputs([IMAGE, IMAGE], as_list=True)
    assert len(run(made(OfList), explicit)) == 2
    same = InputTensor(IMAGE)
    assert list(Inputs(same, same).tensors) == ["x0", "x1"]


def test_a_decorated_forward_is_looked_through():
    class Decorated(Scaled):
        @paddle.jit.to_static
        def forward(self, image, scale):
            return self.body(image) * scale.unsqueeze([2, 3])

    assert list(Inputs.of([IMAGE, SCALE], made(Decorated)).tensors) == ["image", "scale"]


def test_one_tensor_in_whatever_form():
    for value in (IMAGE, list(IMAGE), np.array(IMAGE), np.ones(IMAGE), paddle.ones(IMAGE)):
        inputs = Inputs.of(value)
        assert inputs.is_plain
        assert inputs.said == IMAGE
        assert inputs.first.dtype is None
    spec = Inputs.of(paddle.static.InputSpec([None, 3, 8, 8], "float32"))
    assert spec.first.shape == (-1, 3, 8, 8)
    assert spec.said == (1, 3, 8, 8)
    assert Inputs.of(paddle.static.InputSpec([None, 7], "int64")).first.dtype == "int64"


@pytest.mark.parametrize("value", ["1x3x8x8", 5, {}, {"image": "x"}, [["a"], None], object()])
def test_what_holds_no_shape_is_refused(value):
    with pytest.raises(ArgumentError, match="holds no shape and no array: give input_shape="):
        Inputs.of(value)


def test_samples_are_the_same_for_a_seed_and_leave_the_random_states_alone():
    model = made(Siamese)
    inputs = Inputs.of([IMAGE, IMAGE], model)
    paddle.seed(3)
    expected = paddle.rand([4]).numpy()
    paddle.seed(3)
    one, again, other = inputs.sample(model), inputs.sample(model), inputs.sample(model, seed=1)
    np.testing.assert_array_equal(paddle.rand([4]).numpy(), expected)
    left, right = (tensor.numpy() for tensor in one.args)
    np.testing.assert_array_equal(left, again.args[0].numpy())
    assert not np.allclose(left, right)
    assert not np.allclose(left, other.args[0].numpy())
    np.testing.assert_array_equal(left, inputs.feeds()["left"])


def test_dtypes():
    model = made(Siamese)
    model.to(dtype="float64")
    inputs = Inputs({"a": IMAGE, "b": InputTensor((4, 7), "int32"), "c": InputTensor((4,), "bool")}, 3)
    sample = inputs.sample(model)
    a, b, c = (str(tensor.dtype).rsplit(".", 1)[-1] for tensor in sample.args[0].values())
    assert (a, b, c) == ("float64", "int32", "bool")
    assert sample.args[1] == 3
    assert set(np.unique(inputs.feeds()["x0.b"])) <= {0, 1}
    assert sample.astype("float32").args[0]["b"].dtype == paddle.int32
    assert sample.astype("float32").args[0]["a"].dtype == paddle.float32


def test_a_layout_of_its_own():
    model = nn.Sequential(nn.Conv2D(3, 8, 3, data_format="NHWC"))
    assert [inputs.first.layout for inputs in Inputs.usual(model)][:1] == ["NHWC"]
    assert Inputs.of(IMAGE, made(Siamese)).first.layout == "NCHW"
    assert Inputs.of([IMAGE, SCALE], made(Scaled)).tensors["scale"].layout is None


def test_dynamic_axes_get_a_size():
    inputs = Inputs.of((None, 3, -1, 16))
    assert inputs.said == (1, 3, 64, 16)
    assert inputs.with_batch(4).said == (4, 3, 64, 16)
    (spec,) = inputs.specs()
    assert list(spec.shape) == [-1, 3, -1, 16]
    assert cost(made(Siamese), (None, 3, 12, 12)).macs == cost(made(Siamese), (1, 3, 12, 12)).macs


def test_an_example_has_its_own_batch_and_fills_another():
    images = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    filled = Inputs.of((3, 3, 2, 2)).filled(images)
    np.testing.assert_array_equal(filled.values(), images[[0, 1, 0]])
    np.testing.assert_array_equal(filled.with_batch(-1).values(), images)


def test_run_takes_the_first_usual_input_that_fits():
    fits = made(Siamese)
    inputs, result = run_usual(fits)
    assert inputs.said == (1, 3, 64, 64)
    assert result.shape == [1, 8, 64, 64]
    with pytest.raises(NoUsualInputError) as error:
        run_usual(made(OfDictionary))
    assert isinstance(error.value.problem, Exception)
