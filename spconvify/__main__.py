"""``python -m spconvify``, and the program `spconvify`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while its modules are still being loaded is no traceback either."""
    try:
        from spconvify.cli import main as run

        run()
    except KeyboardInterrupt:
        print("spconvify: error: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
