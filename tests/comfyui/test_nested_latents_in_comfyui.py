"""The streams of a latent, held to ComfyUI's own functions."""

import pytest
import torch
from comfy_process import RemoteError

pytestmark = pytest.mark.comfyui


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit, in shape and type; NaN equals NaN and -0 is not 0."""
    bits = {2: torch.int16, 4: torch.int32}[one.element_size()]
    return one.dtype == other.dtype and torch.equal(one.contiguous().view(bits), other.contiguous().view(bits))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("form", ["nested", "packed"])
def test_the_video_is_found_and_put_back_as_comfyui_packs_it_and_the_sound_stays_bit_for_bit(process, form, dtype):
    video, audio, other, repacked, made = process.call("nested_calls.both_forms", dtype=dtype)
    of = made[form]
    assert of["is"] == (form == "nested", form == "packed")
    assert (
        same(of["video"], video)
        and [same(*pair) for pair in zip(of["parts"], (video, audio), strict=True)] == [True] * 2
    )
    assert [same(*pair) for pair in zip(of["changed"], (other, audio), strict=True)] == [True] * 2
    assert of["kind"] and of["shape"] == tuple(video.shape)
    assert same(of["untouched"], video)
    assert same(made["packed"]["whole"], repacked)


def test_a_latent_of_one_part_is_passed_through_as_it_is(process):
    assert process.call("nested_calls.one_part") == [False, *[True] * 5]


def test_the_shapes_batch_does_not_matter(process):
    several, found, nested, packed, joined = process.call("nested_calls.larger_batch")
    for parts in (found, nested):
        assert [same(*pair) for pair in zip(parts, several, strict=True)] == [True] * 2
    assert same(joined, packed)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("size", r"video part of this latent has the shape \[2, 4, 3, 2, 5\]; \[2, 4, 1, 2, 5\] cannot be put"),
        (
            "form",
            r"is 2 parts of the shapes \[\[2, 4, 3, 2, 5\], \[2, 3, 2, 7\]\] in one tensor, but it is \[2, 1, 161\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(process, form, said):
    with pytest.raises(RemoteError, match=f"VideoAlignError: .*{said}"):
        process.call("nested_calls.refused", form=form)
