"""How code of the user's is named: modules by their names, and files refused with these."""

import pytest

from spconvify import ArgumentError
from spconvify.zoo.named import module_and_name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nets.py:small", "it names a file; write it as nets:small$"),
        ("./nets:small", "write it as nets:small$"),
        ("../work/nets.py:small", r"write it as nets:small, and run spconvify from \.\./work$"),
        ("/srv/code/nets:small", "write it as nets:small, and run spconvify from /srv/code$"),
        ("nets:", "it names no module and factory; write it as package.module:factory"),
    ],
)
def test_files_are_no_modules(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").touch()
    with pytest.raises(ArgumentError, match=message):
        module_and_name(text, "it", "factory")


def test_a_module_may_be_called_py(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert module_and_name("package.py:build", "it", "factory") == ("package.py", "build")
