from __future__ import annotations

import functools
import io
import json
import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sacristy.errors import WeightsRefused
from sacristy.weights.formats import CHECKS, check_file

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


class Trap:
    """What runs when a pickle is loaded: it makes the canary file."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return Path.touch, (Path(self.canary),)


def torch_zip(canary, member="archive/data.pkl"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, pickle.dumps(Trap(canary)))
    return buffer.getvalue()


@functools.cache
def zip_bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 << 20))
    return buffer.getvalue()


def tar(*members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for member in members:
            archive.addfile(member)
    return buffer.getvalue()


def member(name, **facts):
    info = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def evil(canary):
    pickles = {f"pickle {protocol}": pickle.dumps(Trap(canary), protocol) for protocol in range(6)}
    link = member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    return pickles | {
        "torch zip": torch_zip(canary),
        "zip bomb": zip_bomb(),
        "zip behind text": b"hello world\n" + torch_zip(canary),
        "tar ../": tar(member("../../escape")),
        "tar link": tar(link),
        "tar gz": tar(link, mode="w:gz"),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(100),
        "script": b"#!/bin/sh\ntouch canary\n",
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "4 GB header": (4 << 30).to_bytes(8, "little") + b"{" + bytes(1000),
        "zeros": bytes(1000),
    }


NAMES = list(evil("x"))


@pytest.mark.parametrize("suffix", [*CHECKS, "bin", "pt"])
@pytest.mark.parametrize("name", NAMES)
def test_no_evil_file_gets_in_under_any_name_and_none_is_run(write, tmp_path, name, suffix):
    canary = tmp_path / "canary"
    path = write(f"model.{suffix}", evil(canary)[name])
    with pytest.raises(WeightsRefused):
        check_file(path)
    assert not canary.exists()


def test_the_canary_would_sing(tmp_path):
    pickle.loads(evil(tmp_path / "canary")["pickle 0"])
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("name", "seen"), [("pickle 0", "a pickle"), ("pickle 4", "a pickle"), ("torch zip", "zip"), ("tar ../", "tar")]
)
def test_the_refusal_says_what_the_file_looks_like(write, name, seen):
    with pytest.raises(WeightsRefused, match=f"looks like .*{seen}"):
        check_file(write("model.safetensors", evil("x")[name]))


def test_an_object_array_of_numpy_is_refused(write, tmp_path):
    numpy = pytest.importorskip("numpy")
    path = write("a.npy", b"")
    numpy.save(path, numpy.array([Trap(tmp_path / "canary")], dtype=object), allow_pickle=True)
    with pytest.raises(WeightsRefused, match=r"type '\|O'"):
        check_file(path)
    assert not (tmp_path / "canary").exists()


def test_checking_a_sparse_file_of_many_gigabytes_takes_little_memory(write):
    path = write("model.safetensors", (12 << 30).to_bytes(8, "little") + b"{")
    with path.open("r+b") as file:
        file.truncate(16 << 30)
    tracemalloc.start()
    with pytest.raises(WeightsRefused, match="above the limit"):
        check_file(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_links_folders_and_missing_files_are_refused(write, tmp_path):
    (tmp_path / "link.txt").symlink_to(write("a.txt", b"a"))
    for path in (tmp_path / "link.txt", tmp_path, tmp_path / "nothing.txt"):
        with pytest.raises(WeightsRefused, match="not a regular file"):
            check_file(path)


@pytest.mark.parametrize("length", [640, 23117, 8483, 35615])  # 80 02, 'MZ', '#!', gzip: as the first two bytes
def test_a_safetensors_header_of_any_length_is_taken(write, length):
    header = json.dumps({"a": F32}).encode().ljust(length)
    assert check_file(write("a.safetensors", length.to_bytes(8, "little") + header + bytes(8))) == "safetensors"


def test_nan_and_metadata_are_allowed_in_safetensors(write, tensors):
    content = tensors({"__metadata__": {"format": "pt"}, "a": F32}, b"\xff" * 8)
    assert check_file(write("a.safetensors", content)) == "safetensors"


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        ({"a": F32}, bytes(7), "header says 8"),
        ({"a": F32}, bytes(9), "header says 8"),
        ({"a": F32 | {"shape": [3]}}, bytes(8), "does not fill"),
        ({"a": F32 | {"shape": [-2]}}, bytes(8), "wrong shape"),
        ({"a": F32 | {"shape": [True, 2]}}, bytes(8), "wrong shape"),
        ({"a": F32 | {"shape": [1 << 62, 1 << 62]}}, bytes(8), "larger than any disk"),
        ({"a": F32 | {"dtype": "OBJECT"}}, bytes(8), "unknown type"),
        ({"a": F32 | {"code": "x"}}, bytes(8), "exactly dtype"),
        ({"a": F32, "b": F32}, bytes(8), "overlap"),
        ({"a": F32, "b": F32 | {"data_offsets": [9, 17]}}, bytes(17), "gap"),
        ({"a": F32 | {"data_offsets": [8, 0]}}, bytes(8), "does not fill"),
        ({"a": [1]}, b"", "exactly dtype"),
        ({"__metadata__": {"a": 1}}, b"", "metadata"),
    ],
)
def test_a_safetensors_header_that_lies_is_refused(write, tensors, header, data, reason):
    with pytest.raises(WeightsRefused, match=reason):
        check_file(write("a.safetensors", tensors(header, data)))


def test_a_key_twice_in_a_safetensors_header_is_refused(write):
    header = (
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    )
    with pytest.raises(WeightsRefused, match="twice"):
        check_file(write("a.safetensors", len(header).to_bytes(8, "little") + header))


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_no_bytes_break_a_check(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    for suffix in CHECKS:
        target = path.with_suffix(f".{suffix}")
        target.write_bytes(content)
        try:
            assert check_file(target) == suffix
        except WeightsRefused:
            continue


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|u1", "<i8", "|b1", "<c16", "<U5", "|S3"])
def test_plain_arrays_of_numpy_are_taken(write, dtype):
    numpy = pytest.importorskip("numpy")
    path = write("a.npy", b"")
    numpy.save(path, numpy.zeros((3, 2), dtype=dtype))
    assert check_file(path) == "npy"


def test_an_npy_with_bytes_behind_it_is_refused(write):
    numpy = pytest.importorskip("numpy")
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.zeros(3))
    with pytest.raises(WeightsRefused, match="header says 24"):
        check_file(write("a.npy", buffer.getvalue() + b"x"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"vocabulary": ["a", "b"]}'),
        ("a.jsonl", b'{"instance": 1, "target": 2}\n[1]\n'),
        ("a.txt", "the\ncat\nsat. PK MZ Übung\n".encode()),
        ("b.txt", b"MZ is a word\n"),
        ("c.txt", b"cats and dogs\nare friends\n."),
    ],
)
def test_documents_and_texts_are_taken(write, name, content):
    assert check_file(write(name, content)) == name.rpartition(".")[2]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"{", "not JSON"),
        ("a.json", b'{"a": NaN}', "NaN is not in JSON"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b'"\xff"', "not JSON"),
        ("a.jsonl", b"1\n\n2\n", "line 2"),
        ("a.txt", b"caf\xe9", "UTF-8"),
        ("a.txt", b"a\0b", "zero bytes"),
        ("a.txt", b"caf\xc3", "UTF-8"),
        ("a.onnx", b"text", "no ONNX"),
        ("a.pt", b"text", "does not end in"),
        ("README", b"text", "does not end in"),
    ],
)
def test_documents_that_are_not_what_they_claim_are_refused(write, name, content, reason):
    with pytest.raises(WeightsRefused, match=reason):
        check_file(write(name, content))
