"""Resize, normalisation and patches, each against a computation of its own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from videoalign.reward.frame_pixels import (
    CLIP_MEAN,
    CLIP_STD,
    normalise,
    normalise_bytes,
    patchify,
    resize_frames,
    round_straight_through,
)


def random_frames(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(56, 84), (28, 28), (140, 196), (84, 112)])
def test_resize_is_bit_equal_to_antialiased_bicubic_interpolation_rounded_to_grey_levels(size):
    frames = random_frames(2, 3, 84, 112)
    expected = (
        F.interpolate(frames.float(), size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 255).round()
    )
    assert torch.equal(resize_frames(frames, size), expected)
    assert torch.equal(resize_frames(frames.float().requires_grad_(), size).detach(), expected)


def test_resize_to_the_same_size_changes_nothing():
    frames = random_frames(2, 3, 56, 84)
    assert torch.equal(resize_frames(frames, (56, 84)), frames.float())


def test_resize_never_leaves_the_grey_levels():
    checker = (torch.arange(60)[:, None] + torch.arange(60)).remainder(2).mul(255).to(torch.uint8).expand(1, 3, 60, 60)
    resized = resize_frames(checker, (112, 112))
    assert resized.min() == 0 and resized.max() == 255
    assert torch.equal(resized, resized.round())


def test_normalisation_of_every_grey_level_equals_the_official_double_precision_rescale():
    levels = np.arange(256, dtype=np.uint8)
    for channel in range(3):
        rescaled = (levels * (1 / 255)).astype(np.float32)  # as the official processor does: float64, then float32
        expected = (rescaled - np.float32(CLIP_MEAN[channel])) / np.float32(CLIP_STD[channel])
        frames = torch.from_numpy(levels).float().expand(1, 3, 1, 256)
        assert np.array_equal(normalise(frames)[0, channel, 0].numpy(), expected)


def test_bytes_are_normalised_by_a_table_to_the_bit():
    frames = random_frames(2, 3, 56, 84)
    frames[0, :, :4, :64] = torch.arange(256, dtype=torch.uint8).view(4, 64)
    assert torch.equal(normalise_bytes(frames), normalise(frames.float()))


def test_patches_equal_a_loop_over_time_rows_columns_and_channels():
    frames = torch.randn(4, 3, 56, 84)
    patches, grid = patchify(frames)
    assert grid == (2, 4, 6)
    expected = []
    for t in range(2):
        for row in range(0, 4, 2):
            for column in range(0, 6, 2):
                for dy in range(2):
                    for dx in range(2):
                        y, x = 14 * (row + dy), 14 * (column + dx)
                        expected.append(
                            torch.cat(
                                [
                                    frames[2 * t + pair, channel, y : y + 14, x : x + 14].flatten()
                                    for channel in range(3)
                                    for pair in range(2)
                                ]
                            )
                        )
    assert torch.equal(patches, torch.stack(expected))


def test_a_rounded_value_passes_forward_exactly_and_its_gradient_straight_through():
    value = torch.tensor([0.1, 77.77, 254.6, 3e-30, -4.0], requires_grad=True)
    rounded = value.detach().clamp(0, 255).round()
    result = round_straight_through(value, rounded)
    assert torch.equal(result, rounded)
    weights = torch.arange(5.0)
    (result * weights).sum().backward()
    assert torch.equal(value.grad, weights)


def test_without_a_gradient_the_rounded_value_is_returned_as_it_is():
    rounded = torch.tensor([1.0])
    assert round_straight_through(torch.tensor([1.2]), rounded) is rounded
