"""``python -m spconvify``: like the command ``spconvify``, without modules of the current folder.

Python itself looks there first for ``-m``. A folder with a random.py of its own isn't to run when its
checkpoint is looked at; a network's module is found there by its name, see `spconvify.zoo.custom`.
"""

import os  # like sys it is loaded before Python looks into any folder
import sys

try:
    _here = os.getcwd()
except OSError:  # it was deleted
    _here = ""
if not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [_here]:
    del sys.path[0]

from spconvify.cli import main

main()
