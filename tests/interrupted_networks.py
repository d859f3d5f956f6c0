"""Networks in which Ctrl-C comes at a bad moment, and that make something else of it."""

import contextlib
import os
import signal
import time

import paddle
from paddle import nn


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(1)


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(3, 8, 3, padding=1)
        self.conv = nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(self.stem(x))


class Plain(Net):
    def forward(self, x):
        press()
        return super().forward(x)


class CatchesErrors(Net):
    def forward(self, x):
        with contextlib.suppress(Exception):
            press()
        return super().forward(x)


class MakesAnErrorOfIt(Net):
    def forward(self, x):
        try:
            press()
        except BaseException as error:
            raise RuntimeError("the shape of the input is wrong") from error
        return super().forward(x)


class Swallows(Net):
    def forward(self, x):
        with contextlib.suppress(BaseException):
            press()
        return super().forward(x)


class InACallback(Net):
    """Where Paddle's C++ calls Python."""

    def forward(self, x):
        class Function(paddle.autograd.PyLayer):
            @staticmethod
            def forward(context, x):
                press()
                return x * 1

        return Function.apply(super().forward(x))


def while_building():
    try:
        press()
    except BaseException as error:
        raise ImportError("no weights") from error


def told_to_end():
    press(signal.SIGTERM)
