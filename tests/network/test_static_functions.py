"""Networks with ``to_static`` in their classes: seen as written, and no old program survives."""

import networks as nets
import paddle
import pytest
from paddle import nn

from spconvify import SPConv2D, convert, cost, find_sites, fuse
from spconvify.network.static_functions import as_written


def compute(self, x):
    return self.fc(self.conv(nn.functional.relu(self.bn(self.stem(x)))).mean([2, 3]))


class Plain(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem, self.bn, self.conv = nets.conv(3), nn.BatchNorm2D(8), nets.conv()
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return compute(self, x)


def decorated(kind, full_graph):
    """A network whose functions are decorated in one of the ways that there are."""
    to_static = paddle.jit.to_static(full_graph=full_graph)

    class Decorated(Plain):
        @to_static
        def forward(self, x):
            return self.fc(self.conv(nn.functional.relu(self.bn(self.stem(x)))).mean([2, 3]))

    class Inherited(Decorated):
        pass

    class Outer(nn.Layer):
        def __init__(self):
            super().__init__()
            self.net = Inherited()

        def forward(self, x):
            return self.net(x)

    class Method(Plain):
        @to_static
        def features(self, x):
            return self.conv(nn.functional.relu(self.bn(self.stem(x))))

        def forward(self, x):
            return self.fc(self.features(x).mean([2, 3]))

    @to_static
    def free(net, x):
        return net.conv(nn.functional.relu(net.bn(net.stem(x))))

    class Function(Plain):
        def forward(self, x):
            return self.fc(free(self, x).mean([2, 3]))

    class Not(Plain):
        @paddle.jit.not_to_static
        def forward(self, x):
            return compute(self, x)

    kinds = (Decorated, Inherited, Outer, Method, Function, Not)
    return {cls.__name__: cls for cls in kinds}[kind]()


KINDS = ("Decorated", "Inherited", "Outer", "Method", "Function", "Not")


@pytest.mark.parametrize("full_graph", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_seen_as_written(kind, full_graph):
    network = nets.trained(decorated(kind, full_graph))
    assert cost(network, (1, 3, 16, 16)).macs == cost(Plain(), (1, 3, 16, 16)).macs
    assert [site.eligible for site in find_sites(network)] == [False, True]
    left = [type(layer).__name__ for layer in fuse(network, input_shape=(1, 3, 16, 16)).sublayers()]
    assert "BatchNorm2D" not in left


@pytest.mark.parametrize("full_graph", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_program_traced_before_does_not_survive_a_conversion_in_place(kind, full_graph):
    network = nets.trained(decorated(kind, full_graph))
    x = paddle.randn([2, 3, 16, 16])
    before = network(x)
    copied = convert(network, fusion="sum")
    assert float((network(x) - before).abs().max()) == 0.0
    convert(network, fusion="sum", inplace=True)
    with as_written():
        expected = network(x)
    assert float((expected - before).abs().max()) > 0.01
    for converted in (network, copied):
        assert any(isinstance(layer, SPConv2D) for layer in converted.sublayers())
        assert float((converted(x) - expected).abs().max()) < 1e-5


def test_a_network_that_was_exported_is_as_eligible_as_before(tmp_path):
    """Tracing leaves the class's forward, or what Paddle made of it, on every layer."""
    spec = [paddle.static.InputSpec([1, 3, 16, 16], "float32")]
    network = nets.trained(decorated("Decorated", True))
    paddle.jit.save(network, str(tmp_path / "net"), input_spec=spec)
    assert [site.eligible for site in find_sites(network)] == [False, True]
    network.conv.forward = lambda x: x
    assert [site.eligible for site in find_sites(network)] == [False, False]
