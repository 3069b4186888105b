"""Values that are not finite, found by their bits in every type."""

import pytest
import torch
from safetensors.torch import save_file

from videoalign.files.finite import is_finite, not_finite
from videoalign.files.safetensors_header import read_header

FLOATS = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E5M2": torch.float8_e5m2, "F8_E4M3": torch.float8_e4m3fn,
}  # fmt: skip


def raw(tensor):
    return tensor.contiguous().view(torch.uint8).numpy()


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("place", [0, 40_000, 99_999])
def test_one_value_among_many_is_found(name, place):
    values = torch.full((100_000,), torch.finfo(FLOATS[name]).max, dtype=torch.float64)
    values[1::3] = torch.finfo(FLOATS[name]).min
    values[2::3] = 0
    assert is_finite(raw(values.to(FLOATS[name])), name)
    bad = [torch.nan, -torch.nan] + ([] if name == "F8_E4M3" else [torch.inf, -torch.inf])  # which has no infinity
    for value in bad:
        values[place] = value
        stored = values.to(FLOATS[name])
        assert not stored.float()[place].isfinite() and not is_finite(raw(stored), name)


@pytest.mark.parametrize("name", ["F16", "BF16", "F8_E5M2", "F8_E4M3"])
def test_every_bit_pattern_is_judged_as_torch_judges_it(name):
    kind = FLOATS[name]
    patterns = torch.arange(2 ** (8 * kind.itemsize), dtype=torch.int64)
    stored = patterns.to(torch.uint8).view(kind) if kind.itemsize == 1 else patterns.to(torch.uint16).view(kind)
    for value, finite in zip(stored.view(torch.uint8).reshape(len(stored), -1), stored.float().isfinite(), strict=True):
        assert is_finite(value.numpy(), name) == bool(finite)


def test_whole_numbers_and_nothing_are_finite():
    assert is_finite(raw(torch.full((9,), -1)), "I64") and is_finite(b"", "F32")


def test_the_tensors_of_a_file_are_named(tmp_path):
    tensors = {"good": torch.ones(5), "bad": torch.tensor([1.0, torch.nan]), "worse": torch.full((2, 2), -torch.inf).half(),
               "number": torch.tensor(torch.inf), "none": torch.ones(0)}  # fmt: skip
    save_file(tensors, tmp_path / "x.safetensors")
    assert sorted(not_finite(read_header(tmp_path / "x.safetensors"))) == ["bad", "number", "worse"]
