"""The cache of timings: whatever is in its place counts as empty, and writers lose nothing."""

import json
import os
import subprocess
import sys

import networks as nets
import pytest

from spconvify import convert
from spconvify.deploy import times_cache as module
from spconvify.deploy import tune
from spconvify.deploy.times_cache import VERSION, TimesCache
from spconvify.deploy.tune import DENSE, choose_forms
from spconvify.imports import full_path

GOOD = {"version": VERSION, "layers": {"x": {"dense": 1.0}}, "networks": {"n": True}}
DAMAGED = {
    "nothing": "", "a list": "[]", "cut": "{", "deep": "[" * 200_000,
    "old": json.dumps({**GOOD, "version": 0}),
    "without a version": '{"layers": {"x": {"dense": 1.0}}, "networks": {}}',
    "layers": json.dumps({**GOOD, "layers": 3}), "networks": json.dumps({**GOOD, "networks": [1]}),
    "huge number": '{"version": ' + "9" * 6000 + "}", "not text": b"\xff\xfe\x00",
}  # fmt: skip


def works(path):
    """Nothing is in it, and what is remembered is."""
    choices = TimesCache(path)
    assert choices.times("x") is None
    assert choices.confirmed("n") is None
    choices.remember({"x": {"dense": 1.0}}, {"n": False})
    again = TimesCache(path)
    assert again.times("x") == {"dense": 1.0}
    assert again.confirmed("n") is False
    assert json.loads(path.read_text()).keys() == GOOD.keys()


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_cache_counts_as_empty(tmp_path, content):
    path = tmp_path / "forms.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    works(path)


@pytest.mark.parametrize(
    "times",
    ["{}", "1", "[1.0]", '{"dense": "1"}', '{"dense": true}', '{"dense": NaN}', '{"dense": -1}',
     '{"dense": 1e999}', '{"dense": 0}', '{"dense": null}', '{"dense": ' + "9" * 400 + "}"],
)  # fmt: skip
def test_times_that_are_none_do_not_count(tmp_path, times):
    path = tmp_path / "forms.json"
    path.write_text(f'{{"version": {VERSION}, "layers": {{"x": {times}, "y": {{"a": 2}}}}, '
                    '"networks": {"n": 1, "m": true}}')  # fmt: skip
    choices = TimesCache(path)
    assert choices.times("x") is choices.confirmed("n") is None
    assert (choices.times("y"), choices.confirmed("m")) == ({"a": 2}, True)
    choices.remember({"z": {"a": 3.0}}, {})
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["layers"].keys() == {"y", "z"}


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "huge"])
def test_what_is_no_file_of_ours(tmp_path, kind):
    path = tmp_path / "forms.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "huge":
        path.write_bytes(b" " * (module._LARGEST + 10))
    else:
        path.mkdir()
        TimesCache(path).remember({"x": {"dense": 1.0}}, {})
        assert TimesCache(path).times("x") is None
        return
    works(path)


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "held"])
def test_a_lock_that_is_none(tmp_path, kind, monkeypatch):
    path, lock = tmp_path / "forms.json", tmp_path / "forms.json.lock"
    if kind == "fifo":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    elif kind == "link":
        (tmp_path / "mine").write_text("mine")
        lock.symlink_to(tmp_path / "mine")
    else:
        fcntl = pytest.importorskip("fcntl")
        monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.2)
        holder = open(lock, "w")  # noqa: SIM115 - it has to stay open
        fcntl.flock(holder, fcntl.LOCK_EX)
    choices = TimesCache(path)
    choices.remember({"x": {"dense": 1.0}}, {})
    assert choices.times("x") == {"dense": 1.0}
    assert path.exists() == (kind == "fifo")
    if kind == "link":
        assert (tmp_path / "mine").read_text() == "mine"


def test_a_link_to_the_cache_stays_one(tmp_path):
    """As those that keep their settings in one folder have it."""
    (tmp_path / "dots").mkdir()
    target, path = tmp_path / "dots" / "forms.json", tmp_path / "forms.json"
    target.write_text(json.dumps(GOOD))
    path.symlink_to(target)
    TimesCache(path).remember({"y": {"dense": 2.0}}, {})
    assert path.is_symlink()
    assert json.loads(target.read_text())["layers"].keys() == {"x", "y"}


def test_unknown_forms_are_not_used(tmp_path, monkeypatch):
    model = nets.trained(convert(nets.PlainNet(), fusion="sum"))
    monkeypatch.setattr(
        tune, "_time_forms", lambda item, _: dict.fromkeys((*tune._forms(item, "eager"), DENSE), 1.0)
    )
    choices = TimesCache(tmp_path / "forms.json")
    shape = (1, 3, 16, 16)
    first = choose_forms(model, shape, "eager", choices=choices)
    assert first.forms
    content = json.loads(choices.path.read_text())
    good = dict(content["layers"])
    for damage in ({"evil": 0.1, DENSE: 1.0}, {DENSE: 1.0}, {"evil": 1.0}):
        content["layers"] = dict.fromkeys(good, damage)
        choices.path.write_text(json.dumps(content))
        assert (
            choose_forms(
                model, shape, "eager", choices=TimesCache(choices.path), measure_them=False
            ).forms
            == {}
        )
    for times in good.values():
        times["evil"] = 0.1  # a form more than there are
    choices.path.write_text(json.dumps({**content, "layers": good}))
    assert (
        choose_forms(model, shape, "eager", choices=TimesCache(choices.path), measure_them=False).forms
        == {}
    )


WRITER = """
import sys, time
from pathlib import Path
from spconvify.deploy.times_cache import TimesCache
path, number = Path(sys.argv[1]), sys.argv[2]
choices = TimesCache(path)
(path.parent / f"ready{number}").touch()
while not (path.parent / "go").exists():
    time.sleep(0.005)
choices.remember({number: {"dense": 1.0}}, {number: True})
"""


def test_writers_lose_nothing(tmp_path):
    number, path = 8, tmp_path / "forms.json"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(full_path())}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(index)], env=variables)
        for index in range(number)
    ]
    while len(list(tmp_path.glob("ready*"))) < number:
        assert all(writer.poll() is None for writer in writers)
    (tmp_path / "go").touch()
    assert [writer.wait(60) for writer in writers] == [0] * number
    choices = TimesCache(path)
    for index in range(number):
        assert choices.times(str(index)) == {"dense": 1.0}
        assert choices.confirmed(str(index))


def test_a_cache_that_can_not_be_written_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    choices = TimesCache(tmp_path / "file" / "forms.json")
    choices.remember({"x": {"dense": 1.0}}, {})
    assert (tmp_path / "file").read_text() == ""
    assert choices.times("x") == {"dense": 1.0}  # for the rest of this run


@pytest.mark.parametrize("home", [None, "", "relative", "~nobody-has-this-name"])
def test_no_home(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # a user who isn't in passwd
    else:
        monkeypatch.setenv("HOME", home)
    choices = TimesCache()
    choices.remember({"x": {"dense": 1.0}}, {})
    assert choices.times("x") == {"dense": 1.0}
    assert os.listdir(tmp_path) == []


def test_a_home_that_can_not_be_told(monkeypatch):
    def no_home(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(module.platformdirs, "user_cache_dir", no_home)
    assert TimesCache().path is None
