"""``python -m spconvify``."""

from spconvify.cli import main

main()
