"""Get the last points back: distil a converted network from the original one.

`run.recover` is the public function. Nothing is imported here: the command line reads `recipe`
without Paddle.
"""
