"""Tensors of safetensors files, read one at a time."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from videoalign.backbones.weight_files import WeightFiles
from videoalign.errors import WeightsError


@pytest.fixture
def file(tmp_path):
    """A file with a tensor of every stored type, an empty one and a scalar."""
    generator = torch.Generator().manual_seed(0)
    types = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
    state = {str(own): torch.randn(3, 5, generator=generator).to(own) for own in types}
    for own in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool):
        state[str(own)] = torch.randint(0, 100, (7,), generator=generator).to(own)
    state |= {"empty": torch.zeros(0, 4), "scalar": torch.tensor(2.5)}
    save_file(state, tmp_path / "own.safetensors", metadata={"made": "here"})
    return tmp_path / "own.safetensors"


def test_every_type_reads_as_safetensors_reads_it_and_fp8_as_float32(file):
    files, expected = WeightFiles([file]), load_file(file)
    assert files.metadata == {"made": "here"} and files.shapes == {
        key: tuple(own.shape) for key, own in expected.items()
    }
    for key, own in expected.items():
        own = own.float() if "float8" in key else own
        assert files.read(key).dtype == own.dtype and torch.equal(files.read(key), own)


def test_tensors_read_under_inference_mode_are_ordinary_and_outlive_the_file(file):
    with torch.inference_mode():
        tensor = WeightFiles([file]).read("torch.float32")
    before = tensor.clone()
    with open(file, "r+b") as opened:
        opened.truncate(10)
    assert not tensor.is_inference() and torch.equal(tensor, before)


def test_a_tensor_of_a_file_larger_than_the_memory_can_be_read(tmp_path):
    size = 400 << 30
    header = json.dumps(
        {
            "first": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
            "last": {"dtype": "U8", "shape": [size - 16], "data_offsets": [16, size]},
        }
    ).encode()
    path = tmp_path / "huge.safetensors"
    with open(path, "wb") as opened:
        opened.write(struct.pack("<Q", len(header)) + header + struct.pack("<4f", 1, 2, 3, 4))
        try:
            opened.truncate(8 + len(header) + size)
        except OSError:
            pytest.skip("this file system has no sparse files of this size")
    assert WeightFiles([path]).read("first").tolist() == [1, 2, 3, 4]


def test_a_file_that_became_shorter_is_named(file):
    files = WeightFiles([file])
    with open(file, "r+b") as opened:
        opened.truncate(file.stat().st_size - 300)
    with pytest.raises(WeightsError, match=r"own\.safetensors ended in the middle"):
        for key in files.shapes:
            files.read(key)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 16]}}, "shape of 'a' does not fit its bytes"),
        ([], "not a safetensors file"),
    ],
)
def test_a_header_that_cannot_be_is_refused(header, message, tmp_path):
    text = json.dumps(header).encode()
    (tmp_path / "own.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    with pytest.raises(WeightsError, match=message):
        WeightFiles([tmp_path / "own.safetensors"])


def test_a_type_that_is_not_known_is_named(tmp_path):
    text = json.dumps({"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "own.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(2))
    with pytest.raises(WeightsError, match="'a' is stored as F4"):
        WeightFiles([tmp_path / "own.safetensors"]).read("a")


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "F8_E4M3"])
def test_a_tensor_that_is_not_finite_is_named_and_the_others_are_read(name, file):
    kinds = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F8_E4M3": torch.float8_e4m3fn}
    state = load_file(file)
    state["bad"] = torch.tensor([1.0, torch.nan, 2.0]).to(kinds[name])
    save_file(state, file)
    files = WeightFiles([file])
    with pytest.raises(WeightsError, match="'bad' holds values that are not finite"):
        files.read("bad")
    assert torch.equal(files.read("torch.float32"), state["torch.float32"])
