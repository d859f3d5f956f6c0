"""A run's checkpoint knows what the network took beside the pictures."""

import numpy as np
import paddle
import pytest
from input_networks import Scaled, made
from recovery_networks import images

from spconvify import ArgumentError, convert, recover

RUN = {"steps": 6, "batch_size": 8, "checkpoint_every": 2, "progress": False}


class Killed(BaseException):
    pass


def pair():
    paddle.seed(4)
    teacher = made(Scaled)
    return convert(teacher, include=["conv"], input_shape=[(1, 3, 10, 10), (1, 8)]), teacher


def example(scale):
    return images(1), np.full((1, 8), scale, "float32")


def goes(data, checkpoint, scale, stop=False, **more):
    def watch(now):
        if stop and now.step == 3:
            raise Killed

    options = {**RUN, "progress": watch, **more}
    recover(*pair(), data, example=example(scale), checkpoint=checkpoint, **options)


def test_another_example_is_another_run(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        goes(images(), checkpoint, 1.0, stop=True)
    with pytest.raises(ArgumentError, match="what the network takes beside the pictures is something e"):
        goes(images(), checkpoint, 2.0)
    goes(images(), checkpoint, 1.0)


def test_what_the_data_holds_is_the_datas(tmp_path):
    """The example says no more than the form then."""
    whole = [(images(8), np.ones((8, 8), "float32"))] * 4
    checkpoint = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        goes(whole, checkpoint, 1.0, stop=True)
    goes(whole, checkpoint, 2.0)


def test_a_function_that_sees_other_images_is_not_what_has_changed(tmp_path):
    """Its value tells it from others, and comes from the images and the teacher."""
    checkpoint, loss = tmp_path / "run.safetensors", paddle.nn.functional.l1_loss
    with pytest.raises(Killed):
        goes(images(), checkpoint, 1.0, stop=True, loss=loss)
    with pytest.raises(ArgumentError, match="its data is 32 images"):
        goes(images(seed=1), checkpoint, 1.0, loss=loss)
    with pytest.raises(ArgumentError, match="beside the pictures"):
        goes(images(), checkpoint, 2.0, loss=loss)
