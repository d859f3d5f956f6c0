"""Names that steer a terminal, hide or turn round are escaped; JSON is valid whatever is in it."""

import json

import numpy as np
import pytest

from spconvify.printable import PLAIN_ERRORS, json_text, one_line, printable


@pytest.mark.parametrize(
    "letter",
    ["\x1b", "\x00", "\n", "\r", "\t", "\x07", "\x7f", "\x9b", "\u202e", "\u2066", "\u200b", "\u200f",
     "\u2028", "\u2060", "\ufeff", "\u00ad", "\u061c", "\u034f", "\u115f", "\u3164", "\u2800", "\ufe0f",
     "\U000e0041", "\U000e0101", "\udcff", "\uffa0"],
)  # fmt: skip
def test_what_steers_or_hides_is_escaped(letter):
    text = printable(f"a{letter}b")
    assert text.isascii()
    assert text.isprintable()
    assert text[0] + text[-1] == "ab"
    assert "\\" in text


@pytest.mark.parametrize(
    "text", ["layer1.0.conv1", "größer", "网络", "שלום", "a b", "[/x]", ":smile:", "全角　空白"]
)
def test_what_is_only_a_name_stays(text):
    assert printable(text) == text


def test_a_long_text_is_cut():
    assert len(printable("x" * 100_000)) < 5000
    assert one_line("a\nb\r\n  c") == "a b c"


def test_json_of_anything():
    data = {
        "nan": float("nan"), "inf": [-float("inf"), (1.5, np.float32("nan"))], 3: np.arange(2),
        "name\udcff": "\udcff\x1b\u202e", "number": np.int64(7), "flag": True, "none": None,
    }  # fmt: skip
    text = json_text(data)
    assert text.isascii()
    assert "\x1b" not in text
    assert "NaN" not in text
    assert json.loads(text, parse_constant=pytest.fail) == {
        "nan": None, "inf": [None, [1.5, None]], "3": [0, 1],
        "name\\udcff": "\\udcff\x1b\u202e", "number": 7, "flag": True, "none": None,
    }  # fmt: skip


def test_our_own_signs_in_plain_letters():
    assert "−28 % · 3×3 → ²".encode("ascii", PLAIN_ERRORS) == b"-28 % | 3x3 -> (2)"
    assert "网\udcff".encode("ascii", PLAIN_ERRORS) == b"\\u7f51\\udcff"
    assert "网\udcff".encode("utf-8", PLAIN_ERRORS) == "网\\udcff".encode()
