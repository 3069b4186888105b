"""Calls of ``ComfyProcess`` about latents of several streams, by ComfyUI's own functions."""

from __future__ import annotations

import comfy.conds
import comfy.utils
import torch
from comfy.nested_tensor import NestedTensor
from sampling_calls import pack


def streams(batch: int = 2, video=(4, 3, 2, 5), audio=(3, 2, 7), dtype=torch.float32, seed: int = 0):
    """(video, audio) of random numbers, with negative zeros and a NaN in the audio, which must survive too."""
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(batch, *shape, generator=generator).to(dtype) for shape in (video, audio)]
    made[1].view(-1)[:3] = torch.tensor([-0.0, float("nan"), float("inf")])
    return made


def both_forms(dtype: str = "float32"):
    """{form: what nested_latents makes of it}, each beside what ComfyUI's functions say."""
    nested_latents = pack("nodes.nested_latents")
    video, audio = streams(dtype=getattr(torch, dtype))
    packed, shapes = comfy.utils.pack_latents([video, audio])
    shapes_told = nested_latents.told_shapes({"latent_shapes": comfy.conds.CONDConstant(shapes)})
    other = video * 2 + 1
    repacked, _ = comfy.utils.pack_latents([other, audio])
    made = {}
    for form, latents in (("nested", NestedTensor([video, audio])), ("packed", packed)):
        known = shapes_told if form == "packed" else None
        changed = nested_latents.with_video_part(latents, other, known)
        made[form] = {
            "is": (nested_latents.is_nested(latents), nested_latents.is_packed(latents, known)),
            "video": nested_latents.video_part(latents, known),
            "parts": nested_latents.parts(latents, known),
            "shape": nested_latents.video_shape(latents.shape, known),
            "changed": list(changed.unbind() if form == "nested" else comfy.utils.unpack_latents(changed, shapes)),
            "kind": type(changed) is type(latents),
            "untouched": nested_latents.video_part(latents, known),
        }
    made["packed"]["whole"] = nested_latents.with_video_part(packed, other, shapes_told)
    return video, audio, other, repacked, made


def one_part():
    """What becomes of a plain latent, told its one shape as LTXAV without sound tells it."""
    nested_latents = pack("nodes.nested_latents")
    video, _ = streams()
    _, shapes = comfy.utils.pack_latents([video])
    assert comfy.utils.unpack_latents(video, shapes)[0] is video
    return [
        nested_latents.is_packed(video, shapes),
        nested_latents.video_part(video, shapes) is video,
        nested_latents.video_part(video) is video,
        torch.equal(nested_latents.with_video_part(video, video + 1, shapes), video + 1),
        tuple(nested_latents.video_shape(video.shape, shapes)) == tuple(video.shape),
        nested_latents.told_shapes({}) is None,
    ]


def larger_batch():
    """Parts of another batch than the shapes say, as a sampler's that runs both conditionings at once; joined again."""
    nested_latents = pack("nodes.nested_latents")
    video, audio = streams(batch=1)
    _, shapes = comfy.utils.pack_latents([video, audio])
    several = [torch.cat([part, part + 1, part - 1]) for part in (video, audio)]
    packed, _ = comfy.utils.pack_latents(several)
    found = nested_latents.parts(packed, shapes)
    nested = nested_latents.joined(NestedTensor([video, audio]), several)
    return several, found, list(nested.unbind()), packed, nested_latents.joined(packed[:1], several, shapes)


def refused(form: str):
    """What is said of a video that does not fit, and of a tensor that is not what its shapes pack to."""
    nested_latents = pack("nodes.nested_latents")
    video, audio = streams()
    packed, shapes = comfy.utils.pack_latents([video, audio])
    if form == "size":
        nested_latents.with_video_part(packed, video[:, :, :1], shapes)
    nested_latents.video_part(packed[:, :, :-1], shapes)
