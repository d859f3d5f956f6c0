"""Exported programs (Paddle's .json or .pdmodel with .pdiparams) become networks again."""
