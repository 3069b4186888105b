"""Tensors of safetensors files, read one at a time."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from videoalign.backbones.weight_files import WeightFiles, open_weights
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


@pytest.fixture
def sharded(tmp_path):
    """A folder of two shards and their index; and a function that changes the index."""
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    save_file({"b": torch.ones(3)}, tmp_path / "two.safetensors")
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"

    def write(content):
        index.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return write


def test_a_folder_in_shards_is_read_whole(sharded):
    files = open_weights(sharded({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    assert files.shapes == {"a": (2,), "b": (3,)}


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("{", "no index of a model's files"),
        ([], "no index of a model's files"),
        ({}, "no index of a model's files"),
        ({"weight_map": {}}, "lists no files of this folder"),
        ({"weight_map": {"a": 1}}, "no index of a model's files"),
        ({"weight_map": {"a": "../../secret.safetensors"}}, "lists no files of this folder"),
        ({"weight_map": {"a": "three.safetensors"}}, r"three\.safetensors does not exist"),
        (
            {"weight_map": {"a": "one.safetensors", "c": "two.safetensors"}},
            r"1 tensors .* are in none of its files \(c\)",
        ),
    ],
)
def test_a_damaged_index_is_refused(index, words, sharded):
    with pytest.raises(WeightsError, match=words):
        open_weights(sharded(index))


def test_shards_that_overlap_are_refused(sharded, tmp_path):
    save_file({"a": torch.zeros(2), "b": torch.ones(3)}, tmp_path / "two.safetensors")
    with pytest.raises(WeightsError, match=r"'a' is in one\.safetensors and in two\.safetensors"):
        open_weights(sharded({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))


@pytest.mark.parametrize("offsets", [[[0, 16], [8, 24]], [[0, 16], [24, 40]], [[-8, 8], [8, 24]], [[16, 32], [32, 48]]])
def test_a_shard_with_offsets_that_cannot_be_is_refused(offsets, sharded, tmp_path):
    header = {key: {"dtype": "F32", "shape": [4], "data_offsets": own} for key, own in zip("bc", offsets, strict=True)}
    text = json.dumps(header).encode()
    (tmp_path / "two.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(48))
    with pytest.raises(WeightsError, match=r"two\.safetensors cannot be read"):
        open_weights(sharded({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"l.weight_scale": torch.ones(3)}, r"the fp8 scale of 'l.weight' has 3 numbers for a weight of \[4, 2\]"),
        ({"l.comfy_quant": torch.tensor(list(b"{oh"), dtype=torch.uint8)}, "how 'l' is quantised cannot be read"),
        ({"l.comfy_quant": torch.tensor(list(b"[1]"), dtype=torch.uint8)}, "how 'l' is quantised cannot be read"),
        ({"l.weight_scale": torch.tensor(torch.nan)}, "'l.weight_scale' holds values that are not finite"),
        ({"l.weight": torch.full((4, 2), 0x7F, dtype=torch.uint8)}, "l.weight has values that are not finite"),
    ],
)
def test_a_damaged_fp8_file_is_refused(change, words, tmp_path):
    state = {"l.weight": torch.ones(4, 2).to(torch.float8_e4m3fn), "l.weight_scale": torch.tensor(2.0)} | change
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=words):
        WeightFiles([tmp_path / "x.safetensors"]).read("l.weight")
