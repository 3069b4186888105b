"""Each mistake that a fresh implementation makes in frames, pixels or text is noticed: the official score is missed.

The table of mistakes is the one of the fixtures' README ("What a fresh implementation gets wrong").
"""

import re
import unicodedata
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from einops import rearrange
from tokenizers.normalizers import Sequence

from videoalign.reward.clip import Frames, PreparedClip, prepare_clip
from videoalign.reward.frame_pixels import normalise, patchify, resize_frames
from videoalign.reward.reward_tokenizer import RewardTokenizer
from videoalign.reward.template import PromptTemplate
from videoalign.reward.video_reward import VideoReward

TAG = "full.fp32"
S02, S04, S14 = "syn/s02_8fps_16f_320x240", "syn/s04_10fps_2f_64x64", "syn/s14_bt709_24fps_12f_640x360"


def all_frames(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def missed(official, case, clip, model=None):
    """Largest |difference| from the official raw scores when ``clip`` is scored in a case's place.

    By one pass over the whole text: ``score_prepared`` reads the video before the captions, where the template has it.
    """
    with torch.no_grad():
        [rewards] = (model or official.model(TAG)).raw_rewards([clip], official.captions(case))
    [recorded] = official.results(TAG)[case]["logits"]
    return (rewards - torch.tensor(recorded)).abs().max().item()


def prepared(frames, size, resize=resize_frames, scale=normalise, cut=patchify):
    """A clip from given frames [n, H, W, 3], each step replaceable by a wrong one."""
    patches, grid = cut(scale(resize(torch.from_numpy(frames).permute(0, 3, 1, 2), size)))
    return PreparedClip(patches, grid, list(range(len(frames))), size, len(frames), 8.0)


@pytest.fixture(scope="module")
def s02(official):
    """The sampled frames of s02 and their resized size; prepared without a mistake they meet the official score."""
    [sample] = official.cases[S02]["samples"]
    frames = all_frames(official.path("s02_8fps_16f_320x240"))[sample["indices"]]
    assert missed(official, S02, prepared(frames, tuple(sample["resized_hw"]))) < 2e-5
    return frames, tuple(sample["resized_hw"])


def nearest_plain(frames, size):
    return F.interpolate(frames.float(), size=size, mode="bicubic", align_corners=False).clamp(0, 255).round()


def bilinear(frames, size):
    return F.interpolate(frames.float(), size=size, mode="bilinear", antialias=True).round()


def rescaled_twice(frames):
    return normalise(frames / 255)


def without_mean(frames):
    return frames / 255


def time_last(frames):
    """Patches whose channels come after time: (T, C, 14, 14)."""
    patches, grid = patchify(frames)
    return rearrange(patches, "n (c t p) -> n (t c p)", c=3, t=2), grid


def row_by_row(frames):
    """Patches in raster order, not the four of a merged token side by side."""
    patches = rearrange(frames, "(t pt) c (h ph) (w pw) -> (t h w) (c pt ph pw)", pt=2, ph=14, pw=14)
    return patches, patchify(frames)[1]


@pytest.mark.parametrize(
    "mistake",
    [{"resize": bilinear}, {"scale": rescaled_twice}, {"scale": without_mean}, {"cut": time_last}, {"cut": row_by_row}],
    ids=["bilinear", "double rescale", "no mean and std", "time before channel", "raster order"],
)
def test_a_mistake_between_frames_and_patches_is_noticed(official, s02, mistake):
    frames, size = s02
    assert missed(official, S02, prepared(frames, size, **mistake)) > 5e-3


def test_blue_and_red_exchanged_are_noticed(official, s02):
    frames, size = s02
    assert missed(official, S02, prepared(np.ascontiguousarray(frames[..., ::-1]), size)) > 0.5


def test_a_resize_without_antialias_is_noticed_where_frames_shrink(official):
    case = "syn/s22_16fps_33f_832x480"
    [sample] = official.cases[case]["samples"]
    frames = all_frames(official.path("s22_16fps_33f_832x480"))[sample["indices"]]
    size = tuple(sample["resized_hw"])
    assert missed(official, case, prepared(frames, size)) < 5e-4
    assert missed(official, case, prepared(frames, size, resize=nearest_plain)) > 0.01


def test_a_small_clip_that_is_not_enlarged_is_noticed(official):
    frames = all_frames(official.path("s04_10fps_2f_64x64"))
    assert missed(official, S04, prepared(frames, (336, 336))) < 2e-5
    assert missed(official, S04, prepared(frames, (56, 56))) > 0.2


def test_fewer_than_four_frames_of_a_short_clip_are_noticed(official, s02):
    case = "syn/s06_10fps_4f_96x64"  # 0.4 s: two frames a second would be one
    clip, sampling = official.path("s06_10fps_4f_96x64"), official.sampling(case)
    assert missed(official, case, prepare_clip(clip, sampling)) < 2e-5
    assert missed(official, case, prepare_clip(clip, replace(sampling, min_frames=2))) > 0.1


@pytest.mark.parametrize(
    "wrong",
    [lambda n, k: np.linspace(0, n - 1, k).astype(int), lambda n, k: np.arange(k) * n // k],
    ids=["rounded down", "last frame left out"],
)
def test_other_frame_indices_are_noticed(official, wrong):
    case = "syn/s01_24fps_48f_128x128"
    [sample] = official.cases[case]["samples"]
    frames = all_frames(official.path("s01_24fps_48f_128x128"))
    size, indices = tuple(sample["resized_hw"]), sample["indices"]
    assert list(wrong(48, 4)) != indices
    assert missed(official, case, prepared(frames[indices], size)) < 2e-5
    assert missed(official, case, prepared(frames[wrong(48, 4)], size)) > 0.02


def test_an_ignored_bt709_tag_is_noticed(official):
    [sample] = official.cases[S14]["samples"]
    with av.open(str(official.path("s14_bt709_24fps_12f_640x360"))) as container:
        frames = list(container.decode(video=0))
    assert (
        missed(official, S14, prepare_clip(official.path("s14_bt709_24fps_12f_640x360"), official.sampling(S14))) < 5e-4
    )
    as_bt601 = np.stack(
        [frames[i].reformat(format="rgb24", src_colorspace=5, dst_colorspace=5).to_ndarray() for i in sample["indices"]]
    )
    assert missed(official, S14, prepared(as_bt601, tuple(sample["resized_hw"]))) > 0.02


def test_an_ignored_full_range_flag_is_noticed(official):
    case = "syn/s15_fullrange_24fps_12f_320x192"
    [clip] = official.prepared(case)
    decoded = all_frames(official.path("s15_fullrange_24fps_12f_320x192"))[clip.indices].astype(np.float32)
    assert missed(official, case, clip) < 5e-4
    stretched = ((decoded - 16) * 255 / 219).clip(0, 255).round().astype(np.uint8)  # as if it were limited range
    assert missed(official, case, prepared(stretched, clip.size)) > 0.02


def test_a_rotation_that_is_not_applied_is_noticed(official):
    case = "syn/s24_rot90_8fps_16f_320x240"
    [clip] = official.prepared(case)
    assert missed(official, case, clip) < 2e-5
    lying = all_frames(official.path("s24_rot90_8fps_16f_320x240"))
    assert missed(official, case, prepare_clip(Frames(lying, 8.0), official.sampling(case))) > 0.05


def with_text(model, change):
    """The model with another chat text."""
    text = change("".join(model.tokenizer.template.pieces))
    template = PromptTemplate(tuple(re.split(r"(<\|\w+\|>)", text)))
    return VideoReward(model.network, RewardTokenizer(model.tokenizer.tokenizer, template), model.settings)


SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("<|vision_end|>\n", "<|vision_end|>"),
        lambda text: text.replace("END\n<|im_end|>", "END<|im_end|>"),
        lambda text: "\n".join(line.rstrip() for line in text.split("\n")),
        lambda text: text.replace(SYSTEM, ""),
        lambda text: text.replace("<|vision_start|><|video_pad|><|vision_end|>", "").replace(
            "END\n<|im_end|>", "END\n<|vision_start|><|video_pad|><|vision_end|><|im_end|>"
        ),
    ],
    ids=["first newline", "last newline", "trailing spaces", "system message", "video after the text"],
)
def test_another_chat_text_is_noticed(official, change):
    model = official.model(TAG)
    [clip] = official.prepared(S02)
    same, other = with_text(model, lambda text: text), with_text(model, change)
    assert other.tokenizer.template != same.tokenizer.template
    assert missed(official, S02, clip, same) < 2e-5
    ids = [reward.tokenizer.encode("x", clip.video_tokens) for reward in (same, other)]
    assert ids[0] != ids[1]
    if "END<|im_end|>" in "".join(other.tokenizer.template.pieces):
        return  # behind the last reward token: it changes the ids (checked by digest) but can reach no score
    assert missed(official, S02, clip, other) > 1e-3


def test_a_caption_that_is_not_brought_to_nfc_is_noticed(official):
    case = "prompt/nfd/s02"
    model, [clip], [caption] = official.model(TAG), official.prepared(case), official.captions(case)
    composed = unicodedata.normalize("NFC", caption)
    assert caption != composed
    assert missed(official, case, clip) < 2e-5
    encode = model.tokenizer.encode
    assert encode(caption, 1) == encode(composed, 1)
    plain = RewardTokenizer(model.tokenizer.tokenizer, model.tokenizer.template)
    plain._plain.normalizer = Sequence([])
    broken = VideoReward(model.network, plain, model.settings)
    assert missed(official, case, clip, broken) > 1e-3
