import json

import pytest

from spconvify import zoo
from spconvify.zoo import fingerprint_table as table
from spconvify.zoo import fingerprints


@pytest.mark.parametrize("name", ["LeNet", "vgg11_bn", "squeezenet1_1", "resnet20", "googlenet"])
def test_the_shipped_table_is_what_this_paddle_builds(name):
    shipped = json.loads(table.PATH.read_text("utf-8"))
    assert table.encode(fingerprints.fingerprint(name)) == shipped[name]


def test_the_shipped_table_is_sorted_compact_and_complete():
    text = table.PATH.read_text("utf-8")
    shipped = json.loads(text)
    assert text == fingerprints.dumps(shipped)
    assert sorted(shipped) == sorted(zoo.names())
    assert len(text) < 300_000


def test_a_record_gives_back_its_fingerprint():
    shapes = {
        "a.weight": (4, "C", 3, 3),
        "a.bias": (4,),
        "b.c.weight": (4, "N"),
        "b.c.bias": ("N",),
    }
    fingerprint = table.Fingerprint(shapes, frozenset({"b.c.weight", "b.c.bias"}))
    record = table.encode(fingerprint)
    assert record["layers"]["bias:N weight:4xN"] == "b.c"
    assert table.decode(json.loads(json.dumps(record))) == fingerprint


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    target = tmp_path / "fingerprints.json"
    monkeypatch.setattr(fingerprints, "PATH", target)
    monkeypatch.setattr(fingerprints, "names", lambda: ["LeNet"])
    fingerprints.main()
    assert json.loads(target.read_text())["LeNet"]["head"] == "fc.0 fc.1 fc.2"
    assert capsys.readouterr().out.startswith(f"{target}: 1 architectures, ")
