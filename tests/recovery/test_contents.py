"""Checkpoints with right checksums and wrong contents: refused in one line, and nothing is changed."""

import json

import numpy as np
import pytest
from recovery_networks import assert_same, images, pair, weights

from spconvify import CheckpointError, recover
from spconvify.checkpoint import read_state, write_state
from spconvify.recovery.contents import META, shown

RUN = {"steps": 4, "batch_size": 8, "checkpoint_every": 2}
LABELS = np.arange(32) % 5
EVALUATION = {"eval_data": (images(), LABELS), "eval_every": 1}


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The arrays of a checkpoint of step 2, without and with accuracies."""

    def stop(now):
        if now.step == 2:
            raise Killed

    found = []
    for more in ({}, EVALUATION):
        path = tmp_path_factory.mktemp("run") / "run.safetensors"
        with pytest.raises(Killed):
            recover(*pair(), images(), **RUN, **more, checkpoint=path, progress=stop)
        found.append(read_state(path))
    return found


def refused(path, arrays, **more):
    write_state(path, arrays)
    student, teacher = pair()
    before, content = weights(student), path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        recover(student, teacher, images(), **RUN, **more, checkpoint=path)
    assert_same(weights(student), before)
    assert path.read_bytes() == content
    message = str(caught.value)
    assert "isn't a checkpoint of a recovery" in message
    assert message.isprintable()
    assert len(message) < 600
    return message


def meta_of(arrays):
    return json.loads(arrays[META].tobytes())


def with_meta(arrays, meta):
    text = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    return {**arrays, META: np.frombuffer(text, np.uint8)}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("run", None, "its run is None"),
        ("run", [1], r"its run is [1]"),
        ("run", "\u202e\x1b[2J\n", "its run is \\u202e\\x1b[2J\\n"),
        ("step", "2", "its step is 2, of 4 steps"),
        ("step", -3, "its step is -3, of 4 steps"),
        ("step", 0, "its step is 0, of 4 steps"),
        ("step", 5, "its step is 5, of 4 steps"),
        ("step", 10**9, "its step is 1000000000, of 4 steps"),
        ("step", 10**400, "its step is 1000"),
        ("step", 2.0, "its step is 2.0"),
        ("step", True, "its step is True"),
        ("step", None, "its step is None"),
        ("step", 1, "its losses aren't 1 numbers"),
        ("losses", None, "its losses aren't 2 numbers"),
        ("losses", [1.0], "its losses aren't 2 numbers"),
        ("losses", [1.0, "2"], "its losses aren't 2 numbers"),
        ("losses", [1.0, float("nan")], "its losses aren't 2 numbers"),
        ("losses", [1.0, 10**400], "its losses aren't 2 numbers"),
        ("losses", [1.0, True], "its losses aren't 2 numbers"),
        ("losses", {"0": 1.0, "1": 1.0}, "its losses aren't 2 numbers"),
        ("top1", [[1, 50.0]], "it has 1 accuracies, and its run has some only with eval_data"),
        ("top1", None, "its accuracies are None"),
        ("best_step", 1, "its best step is 1, and by its accuracies None"),
        ("optimizer", None, "its optimizer's parts are None"),
        ("optimizer", [], "its optimizer's parts are []"),
        ("optimizer", [["a"]], "its optimizer's parts are [['a']]"),
        ("optimizer", ["no|moment1"], "optimizer.no|moment1 is missing"),
    ],
)
def test_what_it_says_of_its_run(tmp_path, written, key, value, message):
    meta = {**meta_of(written[0]), key: value}
    assert message in refused(tmp_path / "run.safetensors", with_meta(written[0], meta))
    del meta[key]
    if key != "best_step":
        refused(tmp_path / "run.safetensors", with_meta(written[0], meta))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("top1", [], "it has 0 accuracies"),
        ("top1", [[0, 1.0], [1, 2.0], [3, 3.0]], "one of its accuracies is [3, 3.0]"),
        ("top1", [[0, 1.0], [0, 2.0]], "one of its accuracies is [0, 2.0]"),
        ("top1", [[0, 101.0]], "one of its accuracies is [0, 101.0]"),
        ("top1", [[0, float("nan")]], "one of its accuracies is [0, nan]"),
        ("top1", [["0", 1.0]], "one of its accuracies is ['0', 1.0]"),
        ("top1", [[-1, 1.0]], "one of its accuracies is [-1, 1.0]"),
        ("top1", [0], "one of its accuracies is 0"),
        ("top1", {"0": 1.0}, "its accuracies are {'0': 1.0}"),
        ("best_step", 7, "its best step is 7"),
        ("best_step", None, "its best step is None"),
        ("best_step", "0", "its best step is 0"),
    ],
)
def test_what_it_says_of_accuracies(tmp_path, written, key, value, message):
    meta = {**meta_of(written[1]), key: value}
    found = refused(tmp_path / "run.safetensors", with_meta(written[1], meta), **EVALUATION)
    assert message in found


@pytest.mark.parametrize(
    "text", [b"", b"{", b"null", b"[]", b"7", b'"run"', b"\xff\xfe", b"[" * 200_000, b"1" * 5_000]
)
def test_what_is_no_description_at_all(tmp_path, written, text):
    refused(tmp_path / "run.safetensors", with_meta(written[0], text))


def test_a_description_of_another_type(tmp_path, written):
    text = written[0][META]
    for wrong in (text.astype("float32"), text[None], np.zeros((), "uint8")):
        refused(tmp_path / "run.safetensors", {**written[0], META: wrong})


def key_of(arrays, start):
    return next(key for key in arrays if key.startswith(start))


@pytest.mark.parametrize("part", ["student.", "best.", "optimizer."])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.zeros((*array.shape, 2), array.dtype),
        lambda array: np.zeros(0, array.dtype),
        lambda array: array.astype("float64"),
        lambda array: array.astype("int32"),
        lambda array: array * np.float32(np.nan),
        lambda array: array * np.float32(0) + np.float32(np.inf),
        None,
    ],
)
def test_arrays_that_do_not_fit(tmp_path, written, part, change):
    arrays = dict(written[1])
    key = key_of(arrays, part)
    array = arrays.pop(key)
    if change is not None:
        arrays[key] = change(array)
    assert key.split(".", 1)[1] in refused(tmp_path / "run.safetensors", arrays, **EVALUATION)


def test_parts_that_are_missing_or_too_many(tmp_path, written):
    path = tmp_path / "run.safetensors"
    for part in ("student.", "best.", "optimizer."):
        arrays = {key: array for key, array in written[1].items() if not key.startswith(part)}
        assert "missing" in refused(path, arrays, **EVALUATION)
    best = {f"best.{key[8:]}": array for key, array in written[0].items() if key.startswith("student.")}
    assert "best weights of no step" in refused(path, {**written[0], **best})
    more = np.zeros(3, "float32")
    assert "belong to nothing" in refused(path, {**written[0], "more": more})
    assert "student.more belongs to nothing" in refused(path, {**written[0], "student.more": more})
    assert "optimizer.a|b belongs to nothing" in refused(path, {**written[0], "optimizer.a|b": more})


def test_moments_that_cannot_be(tmp_path, written):
    """Also where the description goes along with them."""
    arrays, meta = dict(written[0]), meta_of(written[0])
    key = next(key for key in arrays if key.endswith("|moment2"))
    wrong = refused(tmp_path / "run.safetensors", {**arrays, key: arrays[key] - 1})
    assert "negative where it can't be" in wrong
    del arrays[key]
    meta["optimizer"].remove(key.split(".", 1)[1])
    assert "is missing" in refused(tmp_path / "run.safetensors", with_meta(arrays, meta))


@pytest.mark.parametrize("judged", [0, 1])
def test_the_right_ones_are_gone_on_from(tmp_path, written, judged):
    path, steps, more = tmp_path / "run.safetensors", [], EVALUATION if judged else {}
    write_state(path, written[judged])
    recover(
        *pair(), images(), **RUN, **more, checkpoint=path,
        progress=lambda now: steps.append(now.step),
    )  # fmt: skip
    assert steps == [3, 4]


def test_a_value_is_shown_short_and_in_one_line():
    assert shown("a\nb") == "a\\nb"
    assert len(shown("x" * 1000)) < 100
    assert len(shown(list(range(10**6)))) < 100


@pytest.mark.parametrize(
    ("end", "change", "message"),
    [
        ("_variance", lambda array: -np.abs(array) - 1, "is a variance, and negative"),
        ("beta1_pow_acc", np.ones_like, "isn't below 1, as a power"),
        ("beta2_pow_acc", lambda array: 5 * np.ones_like(array), "isn't below 1, as a power"),
    ],
)
def test_values_that_no_training_gives(tmp_path, written, end, change, message):
    arrays = {key: change(a) if key.endswith(end) else a for key, a in written[0].items()}
    assert message in refused(tmp_path / "run.safetensors", arrays)


@pytest.mark.parametrize("loss", [-5.0, 1e300])
def test_losses_that_no_training_gives(tmp_path, written, loss):
    meta = {**meta_of(written[0]), "losses": [1.0, loss]}
    assert "its losses aren't 2 numbers" in refused(
        tmp_path / "run.safetensors", with_meta(written[0], meta)
    )
