"""Stacking adapters for a fused layer, and taking them apart again."""

import pytest
import torch

from videoalign.lora.adapters import LoraWeights
from videoalign.lora.fused import split, stack

WIDTH, HEIGHT = 6, 20
ROWS = {"q": [(0, 4)], "k": [(4, 8)], "v": [(8, 12)], "mlp": [(12, 20)]}


def adapter(name: str, rank: int, alpha: float) -> LoraWeights:
    generator = torch.Generator().manual_seed(len(name) * 31 + rank + ord(name[0]))
    height = sum(stop - start for start, stop in ROWS[name])
    return LoraWeights(
        torch.randn(rank, WIDTH, generator=generator), torch.randn(height, rank, generator=generator), alpha
    )


def applied(weights: dict[str, LoraWeights]) -> torch.Tensor:
    """What the adapters add to the fused matrix, each at its own place, in float64."""
    total = torch.zeros(HEIGHT, WIDTH, dtype=torch.float64)
    for name, own in weights.items():
        (start, stop), *_ = ROWS[name]
        total[start:stop] += own.alpha / own.A.shape[0] * (own.B.double() @ own.A.double())
    return total


def as_loaded(fused: LoraWeights) -> torch.Tensor:
    """What a loader adds: alpha / (rows of A) * B A."""
    return fused.alpha / fused.A.shape[0] * (fused.B.double() @ fused.A.double())


def stacked(weights: dict[str, LoraWeights]) -> LoraWeights:
    return stack([(ROWS[name], own) for name, own in weights.items()], HEIGHT)


def test_the_stack_adds_what_its_parts_add_and_nothing_to_rows_that_were_not_trained():
    weights = {name: adapter(name, 3, 6.0) for name in "qkv"}
    fused = stacked(weights)
    assert fused.alpha == 3 * 6.0
    assert fused.A.shape == (9, WIDTH)
    assert torch.allclose(as_loaded(fused), applied(weights), rtol=1e-12, atol=0)
    assert not fused.B[12:].any()


def test_parts_of_unequal_rank_and_scale_keep_what_they_add():
    weights = {"q": adapter("q", 2, 4.0), "v": adapter("v", 5, 1.0), "mlp": adapter("mlp", 3, 3.0)}
    assert torch.allclose(as_loaded(stacked(weights)), applied(weights), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("names", [["q", "k", "v"], ["q", "v"], ["k"], ["q", "k", "v", "mlp"]])
def test_a_stack_comes_apart_into_exactly_its_parts(names):
    weights = {name: adapter(name, 3, 6.0) for name in names}
    parts = split(stacked(weights), ROWS)
    assert list(parts) == names
    for name, own in weights.items():
        assert torch.equal(parts[name].A, own.A)
        assert torch.equal(parts[name].B, own.B)
        assert parts[name].alpha == pytest.approx(own.alpha, rel=1e-12)


def test_parts_of_unequal_rank_come_apart_by_the_structure_of_b():
    weights = {"q": adapter("q", 2, 2.0), "k": adapter("k", 5, 5.0)}
    parts = split(stacked(weights), ROWS)
    assert {name: own.rank for name, own in parts.items()} == {"q": 2, "k": 5}
    assert torch.equal(parts["k"].A, weights["k"].A)


def test_a_part_that_has_learnt_nothing_yet_comes_back_where_the_file_names_it():
    weights = {name: adapter(name, 3, 6.0) for name in "qkv"}
    weights["k"] = weights["k"]._replace(B=torch.zeros(4, 3))
    fused = stacked(weights)
    parts = split(fused, ROWS, [("q", 3), ("k", 3), ("v", 3)])
    assert torch.equal(parts["k"].A, weights["k"].A)
    assert torch.equal(parts["v"].B, weights["v"].B)
    assert torch.allclose(applied(split(fused, ROWS)), applied(weights), rtol=1e-12)


def test_what_a_file_says_about_the_stacking_is_not_believed_against_b():
    weights = {name: adapter(name, 3, 6.0) for name in "qkv"}
    parts = split(stacked(weights), ROWS, [("v", 3), ("k", 3), ("q", 3)])
    assert torch.allclose(applied(parts), applied(weights), rtol=1e-12)


def test_an_adapter_trained_on_the_fused_layer_gives_every_part_all_of_a():
    generator = torch.Generator().manual_seed(0)
    fused = LoraWeights(torch.randn(5, WIDTH, generator=generator), torch.randn(HEIGHT, 5, generator=generator), 10.0)
    parts = split(fused, ROWS)
    assert {name: own.rank for name, own in parts.items()} == dict.fromkeys(ROWS, 5)
    assert torch.allclose(applied(parts), as_loaded(fused), rtol=1e-12)


def test_rows_that_lie_in_another_order_are_put_back_in_order():
    rows = [(4, 6), (0, 4)]  # the module's first two rows are the fused layer's 4 and 5
    own = LoraWeights(torch.eye(2), torch.arange(12.0).reshape(6, 2), 2.0)
    fused = stack([(rows, own)], 6)
    assert torch.equal(fused.B[4:], own.B[:2])
    assert torch.equal(split(fused, {"m": rows})["m"].B, own.B)
