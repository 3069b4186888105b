"""Sizes of latents from sizes of clips."""

import pytest

from videoalign.backbones.hunyuan_video_family import LATENTS as HUNYUAN_VIDEO
from videoalign.backbones.ltx_video_family import LTXV
from videoalign.backbones.wan_family import WAN21, WAN22
from videoalign.errors import ClipSizeError


def test_shapes_are_those_of_the_published_sizes():
    assert WAN21.shape(81, 480, 832) == (16, 21, 60, 104)
    assert WAN22.shape(121, 704, 1280) == (48, 31, 44, 80)
    assert HUNYUAN_VIDEO.shape(129, 720, 1280) == (16, 33, 90, 160)
    assert LTXV.shape(97, 512, 768) == (128, 13, 16, 24)
    assert LTXV.frames(13) == 97 and WAN21.frames(1) == 1


def test_clips_that_do_not_fit_are_refused_with_the_numbers_that_do():
    with pytest.raises(ClipSizeError, match=r"80 frames are not .* use 77 or 81"):
        WAN21.shape(80, 480, 832)
    with pytest.raises(ClipSizeError, match="width 840 is not a multiple of 16"):
        WAN22.shape(81, 480, 840)
