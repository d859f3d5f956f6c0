"""A signal that comes while Paddle traces a network: no exception may come up inside Paddle's C++."""

import os
import signal
import threading

import pytest
from paddle import nn

from spconvify.engines.tracing import write
from spconvify.held_signals import held_back

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT")]
happened = []


class Signalled(nn.Layer):
    """Is sent a signal in its forward, and notes that it went on."""

    def __init__(self, number):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3)
        self.number = int(number)

    def forward(self, x):
        os.kill(os.getpid(), self.number)
        happened.append("went on")
        return self.conv(x)


@pytest.fixture(params=SIGNALS)
def handled(request):
    def handler(*_):
        happened.append("signal")
        raise KeyboardInterrupt

    happened.clear()
    before = signal.signal(request.param, handler)
    yield request.param, handler
    signal.signal(request.param, before)


def test_a_signal_waits_until_the_trace_is_done(tmp_path, handled):
    number, handler = handled
    with pytest.raises(KeyboardInterrupt):
        write(Signalled(number), tmp_path, (1, 3, 8, 8))
    assert happened[0] == "went on"
    assert happened.count("signal") == 1
    assert happened[-1] == "signal"
    assert (tmp_path / "model.pdiparams").exists()
    assert signal.getsignal(number) is handler


def test_what_the_block_raises_comes_with_the_signal(handled):
    number, handler = handled

    @held_back()
    def fails():
        signal.raise_signal(number)
        raise ValueError("of the block")

    with pytest.raises(KeyboardInterrupt) as caught:
        fails()
    assert isinstance(caught.value.__context__, ValueError)
    assert signal.getsignal(number) is handler


def test_another_thread_changes_nothing():
    done = []

    def work():
        with held_back():
            done.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]
