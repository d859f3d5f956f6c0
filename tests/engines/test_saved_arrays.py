"""Files of arrays that go to a child process and back."""

import subprocess
import sys

import numpy as np
import pytest

from spconvify.engines.feeds import read_values, save_arrays, save_values

LIMITED = """
import resource
import sys
from pathlib import Path
import numpy as np
from spconvify.engines.feeds import save_arrays
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
try:
    save_arrays(Path(sys.argv[1]), [np.zeros(9000)])
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("shape", [(2, 3), (0,), (), (70, 500)])
def test_they_come_back(tmp_path, shape):
    values = {"file": np.full(shape, 2.5), "ünd so": np.arange(4)}
    found = read_values(save_values(values, tmp_path))
    assert list(found) == list(values)
    assert all(np.array_equal(found[name], values[name]) for name in values)


def test_a_full_disk_is_one_error_and_leaves_no_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a.npz")], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert not (tmp_path / "a.npz").exists()


def test_nothing_of_an_earlier_file_is_left(tmp_path):
    for size in (50_000, 3):
        save_arrays(tmp_path / "a.npz", [np.ones(size)])
    assert (tmp_path / "a.npz").stat().st_size < 1000
