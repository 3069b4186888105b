"""Headers: read as the safetensors library reads them, and refused where it refuses them."""

# ruff: noqa: UP031 - the braces are JSON's

import json
import os
import pickle
import random
import struct

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from videoalign.errors import LoraFileError, WeightsError
from videoalign.files.safetensors_header import BITS, read_header

A = '"dtype":"F32","shape":[4],"data_offsets":[0,16]'
HEADERS = {
    "plain": '{"a":{%s}}' % A,
    "metadata twice": '{"__metadata__":{"a":"b"},"__metadata__":{"a":"c"},"a":{%s}}' % A,
    "a field twice": '{"a":{%s,"dtype":"F32"}}' % A,
    "a field more": '{"a":{%s,"more":[1,{"x":null}]}}' % A,
    "metadata of numbers": '{"__metadata__":{"a":1},"a":{%s}}' % A,
    "metadata of a list": '{"__metadata__":[],"a":{%s}}' % A,
    "no metadata": '{"__metadata__":null,"a":{%s}}' % A,
    "negative": '{"a":{"dtype":"F32","shape":[6],"data_offsets":[-8,16]}}',
    "a hole": '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
    "a hole first": '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
    "overlap": '{"a":{%s},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}' % A,
    "the same bytes": '{"a":{%s},"b":{%s}}' % (A, A),
    "empty first": '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{%s}}' % A,
    "empty last": '{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[16,16]},"b":{%s}}' % A,
    "empty within": '{"e":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},"b":{%s}}' % A,
    "reversed": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}',
    "a shape of fractions": '{"a":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}}',
    "an offset of truth": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[false,16]}}',
    "three offsets": '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16,16]}}',
    "no shape": '{"a":{"dtype":"F32","data_offsets":[0,16]}}',
    "a shape of text": '{"a":{"dtype":"F32","shape":"4","data_offsets":[0,16]}}',
    "an unknown type": '{"a":{"dtype":"Q8","shape":[16],"data_offsets":[0,16]}}',
    "a type that is a list": '{"a":{"dtype":["F32"],"shape":[4],"data_offsets":[0,16]}}',
    "half a byte over": '{"a":{"dtype":"F4","shape":[31],"data_offsets":[0,16]}}',
    "more bytes than promised": '{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}',
    "fewer bytes than promised": '{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}',
    "a shape that overflows": '{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,16]}}',
    "an offset that overflows": '{"a":{"dtype":"F32","shape":[18446744073709551620],"data_offsets":[0,16]}}',
    "spaces after": '{"a":{%s}}   \n\t' % A,
    "zeros after": '{"a":{%s}}\0\0' % A,
    "not a number": '{"a":{%s,"z":NaN}}' % A,
    "a control character": '{"a\x01":{%s}}' % A,
    "half a surrogate": '{"\\ud800":{%s}}' % A,
    "a whole surrogate": '{"\\ud83d\\ude00":{%s}}' % A,
    "no name": '{"":{%s}}' % A,
    "null": '{"a":null}',
    "a list": "[]",
    "nothing": "",
    "an empty table": "{}",
}
FLAWS = {
    "UTF-16": ('{"a":{%s}}' % A).encode("utf-16-le"),
    "a byte order mark": ('{"a":{%s}}' % A).encode("utf-8-sig"),
    "no UTF-8": b'{"a\xff":{%s}}' % A.encode(),
}


def put(path, header, body=bytes(16), length=None):
    raw = header if isinstance(header, bytes) else header.encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + body)
    return path


def library(path):
    """Keys and metadata as the library reads them, or None where it refuses the file."""
    try:
        with safe_open(path, framework="pt") as file:
            return sorted(file.keys()), file.metadata() or {}
    except SafetensorError:
        return None


def ours(path):
    try:
        header = read_header(path)
    except WeightsError as error:
        assert (str(path) in str(error) and "again" in str(error)) or "damaged" in str(error)
        return None
    return sorted(header.entries), header.metadata


@pytest.mark.parametrize("name", [*HEADERS, *FLAWS])
def test_a_header_is_read_or_refused_as_the_library_does(tmp_path, name):
    path = put(tmp_path / "a.safetensors", HEADERS.get(name, FLAWS.get(name)))
    assert ours(path) == library(path)
    path = put(path, HEADERS.get(name, FLAWS.get(name)), body=b"")
    assert ours(path) == library(path)


@pytest.mark.parametrize("length", [0, 1, 10, 60, 100_000_001, 2**63, 2**64 - 1])
def test_a_wrong_length_of_the_header_is_refused_as_the_library_does(tmp_path, length):
    path = put(tmp_path / "a.safetensors", HEADERS["plain"], length=length)
    assert ours(path) is None and library(path) is None
    path.write_bytes(path.read_bytes()[:5])
    assert ours(path) is None and library(path) is None


def test_every_type_of_the_format_has_its_size(tmp_path):
    for name, bits in BITS.items():
        path = tmp_path / "a.safetensors"
        put(path, json.dumps({"a": {"dtype": name, "shape": [8], "data_offsets": [0, bits]}}), body=bytes(bits))
        assert ours(path) == library(path) == (["a"], {}), name


def test_a_header_over_the_formats_limit_is_refused_and_one_of_it_is_not(tmp_path):
    limit = HEADERS["plain"].encode().ljust(100_000_000)
    assert ours(put(tmp_path / "a.safetensors", limit)) is not None
    assert ours(put(tmp_path / "a.safetensors", limit + b" ")) is None


def test_a_tensor_that_the_header_names_twice_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="'a' twice"):
        read_header(put(tmp_path / "a.safetensors", '{"a":{%s},"a":{%s}}' % (A, A)))


def test_files_with_flipped_bits_are_read_and_refused_as_the_library_does(tmp_path):
    draw = random.Random(0)
    tensors = {name: torch.randn(2, 3) for name in ("alpha", "beta", "gamma")} | {"bf": torch.ones(2).bfloat16()}
    save_file(tensors, tmp_path / "whole.safetensors", {"kind": "own", "text": "猫"})
    content = (tmp_path / "whole.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    path = tmp_path / "a.safetensors"
    refused = 0
    for _ in range(1500):
        damaged = bytearray(content)
        for _ in range(draw.choice((1, 1, 2, 5))):
            damaged[draw.randrange(8 + length)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        assert ours(path) == library(path), bytes(damaged[: 8 + length])
        refused += ours(path) is None
    assert 300 < refused < 1500


def test_entries_say_where_the_tensors_lie_and_errors_are_of_the_kind_that_was_asked_for(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "alpha": torch.tensor(16.0).bfloat16(), "n": torch.tensor([7])}
    save_file(tensors, tmp_path / "a.safetensors", {"kind": "own"})
    header = read_header(tmp_path / "a.safetensors", LoraFileError)
    entry = header.entries["a"]
    assert (entry.dtype, entry.shape, header.metadata) == ("F32", (2, 3), {"kind": "own"})
    raw = (tmp_path / "a.safetensors").read_bytes()[entry.start : entry.stop]
    assert struct.unpack("<6f", raw) == (0, 1, 2, 3, 4, 5)
    assert header.number("alpha") == 16.0 and header.number("n") == 7.0
    with pytest.raises(LoraFileError, match=r"a is F32 \[2, 3\], expected one number"):
        header.number("a")
    with pytest.raises(LoraFileError, match=r"none does not exist"):
        read_header(tmp_path / "none", LoraFileError)


def torch_file(path, **options):
    torch.save({"a": torch.ones(2)}, path, **options)
    return path.read_bytes()


OTHERS = {
    "empty": (lambda path: b"", "it is empty"),
    "git-lfs": (
        lambda path: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1342\n",
        "git lfs pull",
    ),
    "web page": (lambda path: b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>" * 9, "a web page"),
    "error of a site": (lambda path: b'{"error":"Repository not found"}', "JSON"),
    "index": (lambda path: json.dumps({"metadata": {}, "weight_map": {}}, indent=2).encode(), "JSON"),
    "torch": (torch_file, "a pickle of torch's"),
    "torch, old": (lambda path: torch_file(path, _use_new_zipfile_serialization=False), "a pickle of torch's"),
    "plain pickle": (lambda path: pickle.dumps({"a": [1]}), "a pickle of torch's"),
    "GGUF": (lambda path: b"GGUF\3\0\0\0" + bytes(64), "a GGUF file"),
    "noise": (lambda path: random.Random(1).randbytes(900), "not a safetensors file"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_file_is_instead_is_said(name, tmp_path):
    path = tmp_path / "x.safetensors"
    make, words = OTHERS[name]
    path.write_bytes(make(path))
    with pytest.raises(LoraFileError) as caught:
        read_header(path, LoraFileError)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_a_pickle_is_not_run_to_find_out_what_it_is(tmp_path):
    class Harm:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harm"),))

    for protocol in range(6):
        path = tmp_path / f"{protocol}.ckpt"
        path.write_bytes(pickle.dumps({"state_dict": Harm()}, protocol=protocol))
        with pytest.raises(WeightsError):
            read_header(path)
    assert not (tmp_path / "harm").exists()


def test_a_folder_and_a_pipe_are_refused_at_once(tmp_path):
    with pytest.raises(WeightsError, match="is a folder"):
        read_header(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.safetensors")
        with pytest.raises(WeightsError, match="a pipe or a device"):
            read_header(tmp_path / "pipe.safetensors")
