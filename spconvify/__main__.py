"""``python -m spconvify``, and the program `spconvify`: without modules of the current folder.

Python itself looks there first for ``-m``. A folder with a random.py of its own isn't to run when its
checkpoint is looked at; a network's module is found there by its name, see `spconvify.zoo.custom`.
"""

import os  # like sys it is loaded before Python looks into any folder
import sys


def main() -> None:
    """Run the command line; Ctrl-C while its modules are still being loaded is no traceback either."""
    try:
        from spconvify.cli import main as run

        run()
    except KeyboardInterrupt:
        print("spconvify: error: interrupted", file=sys.stderr)
        sys.exit(130)


def _leave_current_folder() -> None:
    """Undo what -m has done to the path."""
    try:
        here = os.getcwd()
    except OSError:  # it was deleted
        return
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [here]:
        del sys.path[0]


if __name__ == "__main__":
    _leave_current_folder()
    main()
