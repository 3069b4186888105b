"""Clips from prompts: whole tiny models of every family."""

from dataclasses import replace

import pytest
import torch
from tiny_backbones import tiny
from tiny_vaes import tiny_hunyuan_video, tiny_ltx_video, tiny_wan21, tiny_wan22

from videoalign.backbones.conditioning import collate
from videoalign.backbones.flow_path import seeded_noise, sigmas
from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.backbones.sampling import generate
from videoalign.errors import ClipSizeError, VideoAlignError

PROMPTS = ["one red circle moves up over a plain grey ground", "two blue squares move left"]


class RandomTexts:
    """Embeddings of the widths that a tiny network takes, different for each prompt."""

    def __init__(self, width, pooled=None):
        self.width, self.pooled = width, pooled

    def encode(self, prompts):
        found = []
        for prompt in prompts:
            generator = torch.Generator().manual_seed(len(prompt))
            own = {"text": torch.randn(len(prompt) % 5 + 1, self.width, generator=generator)}
            if self.pooled:
                own["pooled"] = torch.randn(self.pooled, generator=generator)
            found.append(own)
        return found


@pytest.fixture(scope="module")
def wan():
    backbone = tiny("wan-t2v")
    settings = replace(backbone.sampling, frames=5, height=32, width=16, steps=3, guidance_scale=4.0)
    return backbone, tiny_wan21(), MicroTextEncoder(), settings


def test_a_clip_depends_on_its_own_prompt_and_seed_only(wan):
    backbone, vae, texts, settings = wan
    together = list(generate(backbone, vae, texts, PROMPTS, [3, 4], settings, batch_size=2))
    alone = list(generate(backbone, vae, texts, PROMPTS, [3, 4], settings))
    for ours, theirs in zip(together, alone, strict=True):
        assert (ours.prompt, ours.seed, ours.fps) == (theirs.prompt, theirs.seed, settings.fps)
        assert torch.allclose(ours.latents, theirs.latents, atol=1e-4)
        assert torch.allclose(ours.video, theirs.video, atol=1e-3)
    assert not torch.allclose(together[0].latents, together[1].latents, atol=0.1)
    assert together[0].video.shape == (3, 5, 32, 16) and together[0].video.abs().max() <= 1


def test_the_latents_are_those_of_a_loop_written_out(wan):
    backbone, _, texts, settings = wan
    (clip,) = generate(backbone, None, texts, PROMPTS[:1], [7], settings)
    assert clip.video is None
    positive, negative = (collate(texts.encode([prompt])) for prompt in (PROMPTS[0], ""))
    x = seeded_noise([7], (16, 2, 4, 2))
    times = [1.0, 2 / 3, 1 / 3, 0.0]
    levels = [settings.shift * t / (1 + (settings.shift - 1) * t) for t in times]
    for level, following in ((levels[0], levels[1]), (levels[1], levels[2]), (levels[2], levels[3])):
        with torch.no_grad():
            sigma = torch.tensor([level])
            v, v_negative = (backbone.velocity(x, sigma, own) for own in (positive, negative))
        x = x + (following - level) * (v_negative + 4.0 * (v - v_negative))
    assert torch.allclose(clip.latents, x[0], atol=1e-4)


def test_guidance_gets_each_batchs_conditioning_and_changes_the_clips(wan):
    backbone, _, texts, settings = wan
    lengths = []

    def guidance(conditioning):
        lengths.append(conditioning["text"].shape[:2])
        return lambda x_t, sigma, v: v + 0.5

    plain = list(generate(backbone, None, texts, PROMPTS, [1, 2], settings, batch_size=2))
    guided = list(generate(backbone, None, texts, PROMPTS, [1, 2], settings, batch_size=2, guidance=guidance))
    assert lengths == [(2, 10)]
    assert not torch.allclose(plain[0].latents, guided[0].latents, atol=0.1)


def test_each_prompt_has_its_own_image_with_and_without_guidance_and_in_every_batch():
    backbone, texts = tiny("wan-i2v"), RandomTexts(4096)
    settings = replace(backbone.sampling, frames=5, height=32, width=16, steps=2, guidance_scale=3.0)
    generator = torch.Generator().manual_seed(5)
    images = [
        {
            "image_latents": torch.randn(20, 2, 4, 2, generator=generator),
            "image_embeds": torch.randn(17, 1280, generator=generator),
        }
        for _ in PROMPTS
    ]
    together = list(generate(backbone, None, texts, PROMPTS, [7, 8], settings, batch_size=2, image=images.__getitem__))
    for number, clip in enumerate(together):
        x, (noisy, last) = seeded_noise([7 + number], (16, 2, 4, 2)), sigmas(2, settings.shift)[:2]
        told = [collate([texts.encode([prompt])[0] | images[number]]) for prompt in (PROMPTS[number], "")]
        for level, following in ((noisy, last), (last, 0.0)):
            with torch.no_grad():
                v, v_negative = (backbone.velocity(x, level[None], own) for own in told)
            x = x + (following - level) * (v_negative + 3.0 * (v - v_negative))
        assert torch.allclose(clip.latents, x[0], atol=1e-4)


def test_progress_counts_the_steps_of_all_batches(wan):
    backbone, _, texts, settings = wan
    told = []
    list(
        generate(
            backbone, None, texts, PROMPTS * 2, range(4), settings, batch_size=3, progress=lambda *own: told.append(own)
        )
    )
    assert told == [(step + 1, 6) for step in range(6)]


@pytest.mark.parametrize(
    ("name", "vae", "texts", "size"),
    [
        ("wan22-ti2v", tiny_wan22, RandomTexts(4096), (5, 32, 64)),
        ("hunyuan-video", tiny_hunyuan_video, RandomTexts(64, pooled=768), (5, 32, 16)),
        ("ltx-video", tiny_ltx_video, RandomTexts(4096), (9, 64, 96)),
    ],
)
def test_every_family_makes_clips(name, vae, texts, size):
    backbone = tiny(name)
    frames, height, width = size
    settings = replace(backbone.sampling, frames=frames, height=height, width=width, steps=2)
    clips = list(generate(backbone, vae(), texts, PROMPTS, [0, 1], settings, batch_size=2))
    assert [clip.video.shape for clip in clips] == [(3, *size)] * 2
    assert all(clip.latents.isfinite().all() and clip.video.std() > 0 for clip in clips)


def test_what_does_not_fit_is_refused_before_sampling(wan):
    backbone, vae, texts, settings = wan
    with pytest.raises(VideoAlignError, match=r"for wan2\.2 latents, this wan network samples wan2\.1"):
        next(generate(backbone, tiny_wan22(), texts, PROMPTS, [0, 1], settings))
    with pytest.raises(VideoAlignError, match="2 prompts and 1 seeds"):
        next(generate(backbone, vae, texts, PROMPTS, [0], settings))
    with pytest.raises(ClipSizeError, match="6 frames"):
        next(generate(backbone, vae, texts, PROMPTS, [0, 1], replace(settings, frames=6)))
