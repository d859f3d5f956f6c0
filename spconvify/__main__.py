"""``python -m spconvify``, and the program `spconvify`: without modules of the current folder.

Python itself looks there first for ``-m``. A folder with a random.py of its own isn't to run when its
checkpoint is looked at; a network's module is found there by its name, see `spconvify.zoo.custom`.
"""

import os  # like sys it is loaded before Python looks into any folder
import sys


def main() -> None:
    """Run the command line; Ctrl-C while its modules are still being loaded is no traceback either."""
    _leave_current_folder()
    try:
        from spconvify.cli import main as run

        run()
    except KeyboardInterrupt:
        print("spconvify: error: interrupted", file=sys.stderr)
        sys.exit(130)


def _leave_current_folder() -> None:
    """Undo what -m, or an empty entry of PYTHONPATH, has done to the path."""
    try:
        here = os.getcwd()
    except OSError:  # it was deleted
        return
    if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [here]:
        del sys.path[0]
    if _is_empty_entry(here):
        sys.path[:] = [entry for entry in sys.path if entry != here]


def _is_empty_entry(here: str) -> bool:
    """Whether the current folder is on the path only by what ``PYTHONPATH=:/more`` has at its beginning.

    That is what ``PYTHONPATH=$PYTHONPATH:/more`` gives where the variable had no value.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [os.path.abspath(entry) for entry in entries if entry]
    own = [os.path.dirname(os.__file__)]  # Python's, and installed packages, in which somebody may be
    own += getattr(sys.modules.get("site"), "getsitepackages", list)()
    return bool(named) and "" in entries and here not in named + own


if __name__ == "__main__":
    main()
