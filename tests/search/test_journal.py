"""What a search leaves behind belongs to it alone, and spoils nothing that is somebody else's."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from spconvify.errors import ArgumentError
from spconvify.search.journal import FORMAT, Journal, forget
from spconvify.search.table import Entry


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".slim.pdparams.search"


def left(path, *results, about="one"):
    """A journal of a search that was killed."""
    lines = [{"format": FORMAT, "about": about}, *map(list, results)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_it_is_gone_on_with_by_the_same_search_only(path):
    left(path, ("a", {"x": 1}))
    journal = Journal(path, "one")
    assert journal.found == 1
    assert journal.get("a", lambda: pytest.fail("it is known")) == {"x": 1}
    assert journal.get("b", lambda: 2) == 2
    journal.close()
    journal = Journal(path, "one")
    assert journal.found == 2
    journal.close()
    journal = Journal(path, "other")
    assert journal.found == 0
    journal.finish()
    assert not path.exists()


@pytest.mark.parametrize("text", ["somebody's notes\n", "[" * 5000, '{"format": "another"}\n', "\n"])
def test_what_no_search_has_written_stays(path, text):
    path.write_text(text)
    with pytest.raises(ArgumentError, match="isn't what a search has left"):
        Journal(path, "one")
    assert path.read_text() == text


@pytest.mark.parametrize("length", [0, 7, 30])
def test_a_head_that_was_cut_off_is_begun_anew(path, length):
    path.write_text(json.dumps({"format": FORMAT, "about": "one"})[:length])
    journal = Journal(path, "one")
    journal.get("a", lambda: 1)
    journal.close()
    journal = Journal(path, "one")
    assert journal.found == 1
    journal.close()


def test_a_result_that_was_cut_off_is_found_out_again(path):
    left(path, ("a", 1))
    with open(path, "a") as file:
        file.write('["b", 2')
    journal = Journal(path, "one")
    assert journal.get("b", lambda: 3) == 3
    journal.close()
    journal = Journal(path, "one")
    assert (journal.get("a", None), journal.get("b", None)) == (1, 3)
    journal.close()


def put(kind, path, target):
    """What is no file, at `path`."""
    if kind == "link":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_is_refused_at_the_start(path, tmp_path, kind):
    (tmp_path / "mine").write_text("mine\n")
    put(kind, path, tmp_path / "mine")
    with pytest.raises(ArgumentError, match="isn't what a search has left"):
        Journal(path, "one")
    assert (tmp_path / "mine").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_comes_to_its_place_later_is_left_alone(path, tmp_path, kind):
    (tmp_path / "mine").write_text("mine\n")
    journal = Journal(path, "one")
    path.unlink()
    put(kind, path, tmp_path / "mine")
    assert journal.get("a", lambda: 1) == 1
    journal.finish()
    assert os.path.lexists(path)
    assert (tmp_path / "mine").read_text() == "mine\n"
    forget(path)
    assert os.path.lexists(path)


def test_a_name_that_no_file_can_have_remembers_nothing(tmp_path):
    journal = Journal(tmp_path / ("x" * 300), "one")
    assert journal.get("a", lambda: 1) == 1
    journal.finish()
    assert os.listdir(tmp_path) == []


def test_two_searches_do_not_mix(path):
    pytest.importorskip("fcntl")
    code = """
        import sys
        from pathlib import Path
        from spconvify.search.journal import Journal
        journal = Journal(Path(sys.argv[1]), "other")
        print("ready", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "ready\n"
        before = path.read_text()
        with pytest.raises(ArgumentError, match="another search is at work"):
            Journal(path, "one")
        assert path.read_text() == before
        other.kill()
    Journal(path, "one").finish()
    assert not path.exists()


@pytest.mark.parametrize("value", [{}, "x", None, {"by_option": 1}, [1]])
def test_values_that_are_no_results_are_called_damaged(path, value):
    left(path, ("table a", value))
    journal = Journal(path, "one")
    with pytest.raises(ArgumentError, match="is damaged: 'table a'"):
        journal.get("table a", lambda: None, Entry.from_dict)
    journal.close()


def test_it_is_taken_away_once_the_result_is_written(path):
    left(path, ("a", 1))
    forget(path)
    assert not path.exists()
    forget(path)  # it isn't made for that
    assert not path.exists()
    path.write_text("somebody's notes\n")
    forget(path)
    forget(None)
    assert path.exists()
