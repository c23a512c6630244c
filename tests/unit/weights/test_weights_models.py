"""ONNX and UBJSON, told by their content."""

from __future__ import annotations

import pickle
import struct

import pytest

from sacristy.errors import WeightsRefused
from sacristy.weights.formats import check_file


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(*more):
    return number(1, 2) + number(2, 1) + message(8, b"w") + message(9, struct.pack("<2f", 1, 2)) + b"".join(more)


def onnx(graph=b"", more=b""):
    return number(1, 9) + message(2, b"test") + message(7, graph) + message(8, number(2, 17)) + more


def key(name):
    return b"U" + bytes([len(name)]) + name


ARRAY = b"[$d#L" + struct.pack(">q2f", 2, 1.0, 2.0)
UBJ = b"{" + key(b"version") + b"[i\x03i\x01]" + key(b"trees") + ARRAY + key(b"name") + b"SU\x02gb" + b"}"


@pytest.mark.parametrize("graph", [b"", message(5, tensor()), message(1, message(5, message(5, tensor())))])
def test_an_onnx_model_is_taken(write, graph):
    assert check_file(write("a.onnx", onnx(graph))) == "onnx"


@pytest.mark.parametrize("place", [tensor(message(13, b"x")), tensor(number(14, 1))])
@pytest.mark.parametrize(
    "around",
    [
        lambda found: message(5, found),
        lambda found: message(1, message(5, message(5, found))),
        lambda found: message(1, message(5, message(6, message(5, found)))),
        lambda found: message(15, message(1, found)),
    ],
    ids=["initializer", "attribute", "inner graph", "sparse"],
)
def test_an_onnx_model_that_reads_other_files_is_refused(write, place, around):
    with pytest.raises(WeightsRefused, match="other files"):
        check_file(write("a.onnx", onnx(around(place))))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begin"),
        (onnx()[:-1], "beyond its end"),
        (onnx(more=number(99, 1)), "no field 99"),
        (number(1, 9) + message(7, b""), "operator set"),
        (onnx(more=b"\x00"), "broken field"),
        (pickle.dumps([1]), "a pickle"),
        (b"PK\x03\x04" + bytes(50), "a zip archive"),
        (onnx(more=b"\xff" * 12), "does not end"),
    ],
)
def test_what_is_no_onnx_is_refused(write, content, reason):
    with pytest.raises(WeightsRefused, match=reason):
        check_file(write("a.onnx", content))


def test_an_onnx_nested_without_end_is_refused(write):
    graph = b""
    for _ in range(40):
        graph = message(1, message(5, message(6, graph)))
    with pytest.raises(WeightsRefused, match="deeply"):
        check_file(write("a.onnx", onnx(graph)))


@pytest.mark.parametrize("content", [UBJ, b"{}", b"{#i\x01" + key(b"a") + b"T", b"{" + key(b"a") + ARRAY + b"}"])
def test_a_ubjson_model_is_taken(write, content):
    assert check_file(write("a.ubj", content)) == "ubj"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begin"),
        (UBJ[:-1], "too early"),
        (UBJ + b"x", "1 bytes behind"),
        (b"{" + key(b"a") + b"[$d#L" + struct.pack(">q", 1 << 60) + b"}", "too early"),
        (b"{" + key(b"a") + b"[$d#L" + struct.pack(">q", -1) + b"}", "negative"),
        (b"{" + key(b"a") + b"[" * 100, "deeply"),
        (b"{" + key(b"a") + b"?}", "the type"),
        (b"{" + b"L" + struct.pack(">q", 1 << 40), "a key of"),
        (pickle.dumps({"a": 1}), "a pickle"),
    ],
)
def test_what_is_no_ubjson_is_refused(write, content, reason):
    with pytest.raises(WeightsRefused, match=reason):
        check_file(write("a.ubj", content))
