"""Good files are read, damaged and hostile ones refused; nothing in them is ever run."""

import builtins
import collections
import contextlib
import functools
import io
import json
import os
import pickle
import resource
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spconvify import CheckpointError
from spconvify.checkpoint import read_state, write_state
from spconvify.checkpoint.checksum import TRAILER_BYTES

STATE = {
    "conv.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
    "bn._mean": np.array([1.5, -2.0], "float64"),
    "order": np.array([2, 0, 1], "int64"),
    "scalar": np.array(3.0, "float32"),
    "empty": np.zeros((0, 4), "float32"),
}


def assert_same(read, expected=STATE):
    assert list(read) == list(expected)
    for key, value in expected.items():
        assert read[key].dtype == value.dtype
        np.testing.assert_array_equal(read[key], value)


def message_of(path):
    with pytest.raises(CheckpointError) as error:
        read_state(path)
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def pickled(tmp_path, content, protocol=4):
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_round_trip_is_bit_equal(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    write_state(path, STATE)
    assert_same(read_state(path))


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_format_is_told_from_the_content(tmp_path, suffix):
    other = {".pdparams": ".safetensors", ".safetensors": ".pdparams"}[suffix]
    write_state(tmp_path / f"x{suffix}", STATE)
    (tmp_path / f"x{suffix}").rename(tmp_path / f"y{other}")
    assert_same(read_state(tmp_path / f"y{other}"))


def test_safetensors_whose_header_is_as_long_as_a_pickle_starts(tmp_path):
    path = tmp_path / "x.safetensors"
    lengths = set()
    for number in range(1, 300):  # the length's first byte is 0x80 for one of them, as a pickle's is
        state = {"k" * number: np.ones(2, "float32")}
        write_state(path, state)
        lengths.add(path.read_bytes()[0])
        assert_same(read_state(path), state)
    assert 0x80 in lengths


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_reads_what_paddle_saves(tmp_path, protocol):
    model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))
    expected = {key: value.numpy() for key, value in model.state_dict().items()}
    path = str(tmp_path / "x.pdparams")
    paddle.save(model.state_dict(), path, protocol=protocol)
    assert_same(read_state(path), expected)
    paddle.save(dict(expected), path, protocol=protocol)
    assert_same(read_state(path), expected)
    paddle.save({key: paddle.to_tensor(value) for key, value in expected.items()}, path)
    assert_same(read_state(path), expected)


def test_paddle_reads_what_we_write(tmp_path):
    path = str(tmp_path / "x.pdparams")
    write_state(path, STATE)
    loaded = paddle.load(path, return_numpy=True)
    assert_same({key: np.asarray(loaded[key]) for key in STATE})


def test_joins_what_paddle_cut(tmp_path):
    info = {"big": {"OriginShape": (2, 3), "slices": ["big@@.0", "big@@.1"]}}
    content = {
        "big@@.0": np.arange(4.0), "big@@.1": np.arange(4.0, 6.0), "UnpackBigParamInfor@@": info,
        "StructuredToParameterName@@": {"big": "conv_0.w_0"},
    }  # fmt: skip
    assert_same(read_state(pickled(tmp_path, content, 2)), {"big": np.arange(6.0).reshape(2, 3)})
    del content["big@@.1"]
    assert "cut into parts isn't complete" in message_of(pickled(tmp_path, content, 2))


class Calls:
    """Pickles into a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def canary_calls(canary):
    command = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w')"
    return {
        "os.system": Calls(os.system, command),
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "getattr": Calls(getattr, "", "join"),
        "partial": Calls(functools.partial, os.system, command),
        "nested": Calls(collections.OrderedDict, ((Calls(os.system, command), 1),)),
        "open": Calls(builtins.open, str(canary), "w"),
        "import": Calls(__import__, "antigravity"),
        "breakpoint": Calls(builtins.breakpoint),
        "numpy.load": Calls(np.load, str(canary)),
    }


@pytest.mark.parametrize("name", list(canary_calls("x")))
@pytest.mark.parametrize("protocol", range(5))
def test_hostile_pickles_run_nothing(tmp_path, name, protocol):
    canary = tmp_path / "canary"
    hostile = canary_calls(canary)[name]
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({"w": hostile}, protocol))
    text = message_of(path)
    assert "nothing of it was run" in text or "neither a .pdparams" in text
    assert not canary.exists()


def test_names_what_a_pickle_refers_to(tmp_path):
    assert "refers to posix.system" in message_of(pickled(tmp_path, {"w": Calls(os.system, "true")}))


def test_a_file_does_not_steer_the_terminal(tmp_path):
    path = tmp_path / "x.pdparams"
    path.write_bytes(b"\x80\x04cnumpy\x1b[31m\x0bcore\nx\n.")
    assert r"refers to numpy\x1b[31m\x0bcore.x, which" in message_of(path)


def test_every_truncation_is_refused(tmp_path):
    for suffix in (".pdparams", ".safetensors"):
        path = tmp_path / f"x{suffix}"
        write_state(path, STATE)
        content = path.read_bytes()
        whole = len(content) - TRAILER_BYTES if suffix == ".pdparams" else None
        for length in range(len(content)):
            path.write_bytes(content[:length])
            if length == whole:  # a complete pickle, as plain Paddle writes it
                assert_same(read_state(path))
            else:
                message_of(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_never_surprise(data):
    """A flipped byte gives one clear error, or a state dict; never another exception."""
    buffer = io.BytesIO()
    pickle.dump(STATE, buffer, 4)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pdparams"
        path.write_bytes(bytes(content))
        with contextlib.suppress(CheckpointError):
            assert all(isinstance(value, np.ndarray) for value in read_state(path).values())


def test_other_content_is_refused_with_the_remedy(tmp_path):
    assert "save model.state_dict() alone" in message_of(pickled(tmp_path, {"epoch": 3}))
    assert "it holds a list" in message_of(pickled(tmp_path, [np.zeros(2)]))
    assert "holds no parameters" in message_of(pickled(tmp_path, {}))
    objects = pickled(tmp_path, {"w": np.array([{}, []], dtype=object)})
    assert "can't read" in message_of(objects)


def test_optimizer_state_is_refused(tmp_path):
    layer = paddle.nn.Linear(2, 2)
    optimizer = paddle.optimizer.Adam(parameters=layer.parameters())
    layer(paddle.ones([1, 2])).sum().backward()
    optimizer.step()
    path = str(tmp_path / "x.pdparams")
    paddle.save(optimizer.state_dict(), path)
    assert "state of an optimizer" in message_of(path)


def test_wrong_files(tmp_path):
    (tmp_path / "model.pdparams").write_bytes(b"")
    assert message_of(tmp_path / "model.pdparams").endswith("the file is empty; fetch it again")
    (tmp_path / "text.pdparams").write_text("hello, I am no checkpoint")
    assert "neither a .pdparams nor a .safetensors" in message_of(tmp_path / "text.pdparams")
    with zipfile.ZipFile(tmp_path / "torch.pdparams", "w") as archive:
        archive.writestr("data.pkl", b"x" * 100)
    assert "it is a PyTorch checkpoint; bring" in message_of(tmp_path / "torch.pdparams")
    assert "it is a folder" in message_of(tmp_path)
    assert "did you mean model.pdparams" in message_of(tmp_path / "modle.pdparams")
    write_state(tmp_path / "good.pdparams", STATE)
    with open(tmp_path / "good.pdparams", "ab") as file:
        file.write(b"more")
    assert "more data behind its end" in message_of(tmp_path / "good.pdparams")


def nested(depth, innermost=b"K\x01"):
    """A pickle of a tuple of twice a tuple of twice ...: small, and for ever to walk through."""
    code = innermost
    for level in range(depth):
        code += b"q" + bytes([level]) + b"h" + bytes([level]) + b"\x86"
    return code


NUMPY_DTYPE = b"cnumpy\ndtype\n"
BOMBS = {
    "memo": b"}K\x01r\xff\xff\xff\x7f.",
    "bytearray": b"}X\x01\x00\x00\x00w\x96" + (2**36).to_bytes(8, "little") + b"abcs.",
    "nested key": b"}" + nested(60) + b"K\x01s.",
    "nested dtype": b"}X\x01\x00\x00\x00w" + NUMPY_DTYPE + nested(60) + b"\x85Rs.",
    "nested keys of an OrderedDict": b"ccollections\nOrderedDict\n]" + nested(60) + b"K\x01\x86a\x85R.",
    "nested name of a part": b"}X\x15\x00\x00\x00UnpackBigParamInfor@@}X\x01\x00\x00\x00w}"
    b"X\x06\x00\x00\x00slices]" + nested(60) + b"asss.",
    "deep tuples": b"}X\x01\x00\x00\x00wK\x01" + b"\x85" * 200_000 + b"s.",
    "deep lists": b"]" * 200_000 + b"a" * 199_999 + b".",
    "dtype with objects": b"}X\x01\x00\x00\x00w" + NUMPY_DTYPE + b"X\x05\x00\x00\x00f4,O8\x85Rs.",
    "persistent id": b"}X\x01\x00\x00\x00wK\x01Qs.",
    "protocol 0": b"}X\x01\x00\x00\x00wPid\ns.",
    "extension": b"}X\x01\x00\x00\x00w\x82\x01s.",
    "out-of-band buffer": b"}X\x01\x00\x00\x00w\x97s.",
    "instance": b"(ios\nsystem\n.",
    "new object": b"cos\nsystem\n)\x81.",
    "state of a dict": b"}}b.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(tmp_path, name):
    path = tmp_path / "x.pdparams"
    path.write_bytes(b"\x80\x04" + BOMBS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message_of(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize("call", ["tuple", "encode"])
def test_a_few_bytes_dont_make_many(tmp_path, call):
    """One text or one string of bytes, made into something a hundred times."""
    megabyte = struct.pack("<I", 10**6) + b"a" * 10**6
    if call == "tuple":
        start, again = b"cbuiltins\ntuple\nq\0B" + megabyte + b"q\1", b"h\0h\1\x85R"
    else:
        latin = b"X" + struct.pack("<I", 6) + b"latin1q\2"
        start, again = b"c_codecs\nencode\nq\0X" + megabyte + b"q\1" + latin, b"h\0h\1h\2\x86R"
    path = tmp_path / "small.pdparams"
    path.write_bytes(b"\x80\x04" + start + 100 * again + b".")
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=r"more bytes than|a tuple that no"):
            read_state(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    finally:
        tracemalloc.stop()


def test_arrays_are_what_their_bytes_are(tmp_path):
    expected = {
        "big-endian": np.arange(3, dtype=">f4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "bool": np.array([True, False]),
        "half": np.float16([1, 2]),
        "uint16": np.uint16([1, 65535]),
        "scalar": np.array(2.5),
    }
    for protocol in (2, 3, 4):
        assert_same(read_state(pickled(tmp_path, expected, protocol)), expected)


@pytest.mark.parametrize("key", ["../../x", "/etc/passwd", "a\nb", "", "x" * 500, "\u202e", "a/b\\c"])
@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_names_are_only_names(tmp_path, suffix, key):
    (tmp_path / "in").mkdir()
    write_state(tmp_path / "in" / f"x{suffix}", {key: np.ones(2, "float32")})
    assert_same(read_state(tmp_path / "in" / f"x{suffix}"), {key: np.ones(2, "float32")})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", f"x{suffix}"]


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdparams")
    assert "isn't a regular file" in message_of(tmp_path / "pipe.pdparams")
    assert "isn't a regular file" in message_of(Path("/dev/zero"))
    write_state(tmp_path / "x.pdparams", STATE)
    (tmp_path / "link.pdparams").symlink_to(tmp_path / "x.pdparams")
    assert_same(read_state(tmp_path / "link.pdparams"))
    (tmp_path / "broken.pdparams").symlink_to(tmp_path / "gone.pdparams")
    message_of(tmp_path / "broken.pdparams")
    (tmp_path / "loop.pdparams").symlink_to(tmp_path / "loop.pdparams")
    message_of(tmp_path / "loop.pdparams")


def test_claims_of_huge_arrays_are_refused(tmp_path):
    path = tmp_path / "x.pdparams"
    for opcode in (b"B" + (2**32 - 1).to_bytes(4, "little"), b"\x8e" + (2**40).to_bytes(8, "little")):
        path.write_bytes(b"\x80\x04}X\x01\x00\x00\x00w" + opcode + b"abc")
        message_of(path)


@pytest.mark.parametrize(
    "entry",
    [
        ["F32", [1], [0, 4]],
        {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [0, 2**64 - 1], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [1] * 100, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**40, 0, 2**40], "data_offsets": [0, 0]},
    ],
)
def test_headers_of_safetensors_that_the_library_lets_pass(tmp_path, entry):
    header = json.dumps({"\x1b[31mw": entry}).encode()
    header += b" " * (-len(header) % 8)
    path = tmp_path / "header.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4 if "4]" in str(entry) else 0))
    with pytest.raises(CheckpointError, match="can't read") as caught:
        read_state(path)
    assert str(caught.value).isprintable()
