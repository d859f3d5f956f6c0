"""Loading Paddle: a signal that comes meanwhile is left to spconvify, not to Paddle's handler."""

import os
import signal
import subprocess
import sys

import pytest

FAKE_PADDLE = """
import os, signal, threading
number = getattr(signal, os.environ["NUMBER"])
signal.signal(number, lambda *_: os._exit(5))  # as Paddle's handler: nothing is cleaned up
other = threading.Event()
threading.Thread(target=other.wait, daemon=True).start()
os.kill(os.getpid(), number)
sum(range(100_000))  # where it would come
"""
SCRIPT = """
import os, signal, sys
number = getattr(signal, os.environ["NUMBER"])
signal.signal(number, lambda *_: sys.exit(3))
from spconvify.cli.paddle_setup import load_paddle
assert "paddle" not in sys.modules
try:
    load_paddle()
finally:
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
sys.exit(4)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals can't be held back here")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_a_signal_while_paddle_is_loaded_waits_for_our_handler(tmp_path, name):
    (tmp_path / "paddle.py").write_text(FAKE_PADDLE)
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBER": name}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment)
    assert done.returncode == 3


def test_no_module_of_the_command_line_loads_paddle_itself():
    """`load_paddle` has to come first: it sets what Paddle reads when it is loaded."""
    modules = "convert export inspect job measurement recover recovery_job report verify".split()
    code = f"import sys; {'; '.join(f'import spconvify.cli.{name}' for name in modules)}"
    code += "; import spconvify.source.loading, spconvify.checkpoint.integrity"
    code += "; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_home_in_which_paddle_can_make_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    code = "import sys; from spconvify.cli import main; main(['report', 'resnet18', '--no-latency'])"
    environment = {**os.environ, "HOME": str(tmp_path / "file")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "error: Paddle can't be loaded: " in last
    assert "set HOME to another one" in last
