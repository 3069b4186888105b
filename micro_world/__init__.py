"""A small procedural world of short clips in which quality is known exactly, because it was put there.

Coloured shapes move over a ground; captions come from a closed vocabulary; faults spoil visual quality (VQ), motion
quality (MQ) and text alignment (TA) by known degrees. Rewards and aligned models are trained and judged on it.

    scene.py       what a clip shows, and its caption
    render.py      drawing
    answers.py     what is true of a scene, as numbers
    read_outs.py   linear questions that a network is asked about it while it learns to see
    faults.py      the ways in which a clip is spoilt
    clip.py        clips with caption and true quality
    pairs.py       preference pairs, in memory and on disk
    video_file.py  MP4 files
    segment.py, shape_match.py, motion.py, measure.py
                   the world's own judge: measures any decoded clip against a caption
"""

from ..clips.video_file import read_video, write_video
from ..reward.dimensions import DIMENSIONS
from .clip import Clip, JudgedClip, iterate_clips, make_clip, sample_clip, sample_faults, text_mismatch
from .faults import MOTION_FAULTS, VISUAL_FAULTS, Fault
from .measure import Measurement, measure
from .pairs import (
    Pair,
    iterate_pairs,
    iterate_prompt_groups,
    label_pair,
    sample_pair,
    write_dataset,
    write_groups,
    write_prompt_groups,
)
from .render import render
from .scene import (
    VOCABULARY,
    Attributes,
    ClipFormat,
    Scene,
    caption,
    change_attributes,
    parse_caption,
    sample_attributes,
    sample_scene,
)

__all__ = [
    "DIMENSIONS",
    "MOTION_FAULTS",
    "VISUAL_FAULTS",
    "VOCABULARY",
    "Attributes",
    "Clip",
    "ClipFormat",
    "Fault",
    "JudgedClip",
    "Measurement",
    "Pair",
    "Scene",
    "caption",
    "change_attributes",
    "iterate_clips",
    "iterate_pairs",
    "iterate_prompt_groups",
    "label_pair",
    "make_clip",
    "measure",
    "parse_caption",
    "read_video",
    "render",
    "sample_attributes",
    "sample_clip",
    "sample_faults",
    "sample_pair",
    "sample_scene",
    "text_mismatch",
    "write_dataset",
    "write_groups",
    "write_prompt_groups",
    "write_video",
]
