"""Which of several processes this is: a variable that a cluster left behind doesn't count."""

import pytest
from recovery_networks import images, pair

from spconvify import ArgumentError, recover
from spconvify.recovery.launched import first_process, launched

VARIABLES = {
    "PADDLE_TRAINERS_NUM": "2",
    "PADDLE_TRAINER_ID": "1",
    "PADDLE_CURRENT_ENDPOINT": "127.0.0.1:1",
    "PADDLE_TRAINER_ENDPOINTS": "127.0.0.1:1,127.0.0.1:2",
}


@pytest.fixture
def variables(monkeypatch):
    def put(**changes):
        for name, value in {**VARIABLES, **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return put


def test_one_of_several(variables):
    variables()
    assert launched() == (1, 2)
    assert not first_process()
    variables(PADDLE_TRAINER_ID="0")
    assert first_process()


@pytest.mark.parametrize("count", [None, "1"])
@pytest.mark.parametrize("rank", ["1", "", "x", None])
def test_alone_it_is_the_first_whatever_was_left_behind(variables, tmp_path, count, rank):
    variables(PADDLE_TRAINERS_NUM=count, PADDLE_TRAINER_ID=rank)
    assert launched() == (0, 1)
    checkpoint, steps = tmp_path / "run.safetensors", []
    if rank == "1":
        recover(*pair(), images(), steps=2, batch_size=8, checkpoint=checkpoint, progress=steps.append)
        assert checkpoint.exists()
        assert len(steps) == 2


WRONG = [
    ({"PADDLE_TRAINERS_NUM": ""}, "PADDLE_TRAINERS_NUM is '', not a number from 1 on; unset"),
    ({"PADDLE_TRAINERS_NUM": "two"}, "PADDLE_TRAINERS_NUM is 'two', not a number"),
    ({"PADDLE_TRAINERS_NUM": "0"}, "PADDLE_TRAINERS_NUM is '0', not a number"),
    ({"PADDLE_TRAINERS_NUM": "9" * 5000}, "PADDLE_TRAINERS_NUM is '9"),
    ({"PADDLE_TRAINER_ID": None}, "PADDLE_TRAINERS_NUM is 2, and PADDLE_TRAINER_ID isn't set"),
    ({"PADDLE_TRAINER_ID": "-1"}, "PADDLE_TRAINER_ID is '-1', not a number from 0 on"),
    ({"PADDLE_TRAINER_ID": "2"}, "PADDLE_TRAINER_ID is 2, and there are 2 processes"),
    ({"PADDLE_CURRENT_ENDPOINT": None}, "and PADDLE_CURRENT_ENDPOINT isn't set"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_can_not_be_is_found_before_anything_is_read(variables, changes, message):
    variables(**changes)
    with pytest.raises(ArgumentError, match=message):
        recover(*pair(), iter(lambda: pytest.fail("it was read"), None), steps=2)
