"""A bias that is added behind a convolution or a product with a matrix is that layer's own."""

from __future__ import annotations

from typing import Any

from spconvify.source.programs.program import Node


def bias_behind(builder: Any, node: Node, channels: int, axis: int) -> tuple[str | None, Node | None]:
    """(id of the bias, the addition), if all that is done with the node's output is adding a bias to it.

    Args:
        builder: knows the program: `program`, `fetched`, `users`, `origins`, `shapes`.
        node: the convolution or product.
        channels: of its output.
        axis: where these are.
    """
    output = node.outputs[0]
    users = builder.users[output]
    if len(users) != 1 or users[0].op != "add" or output in builder.fetched:
        return None, None
    (addition,) = users
    first, second = addition.inputs
    other = second if first == output else first
    if other == output or not isinstance(other, str):
        return None, None
    origin = builder.origins.get(other)
    is_reshaped = origin is not None and origin.op == "reshape"
    source = origin.inputs[0] if is_reshaped else other
    shapes = builder.program.shapes
    if source not in builder.program.parameters or other not in shapes or output not in shapes:
        return None, None
    rank = len(shapes[output])
    aligned = [1] * (rank - len(shapes[other])) + list(shapes[other])
    wanted = [1] * rank
    wanted[axis] = channels
    return (source, addition) if aligned == wanted else (None, None)
