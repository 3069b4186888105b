"""Images in a latent cache: one for all clips that are compared, encoded once, found by content."""

import hashlib
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from small_clips import BUCKET, PROMPTS, clip_row, write_clip
from tiny_clip import TOKENS, save_clip, tiny_clip

from videoalign.backbones.image_conditioning import image_latents
from videoalign.backbones.image_encoder import load_image_encoder
from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.errors import ClipError, VideoAlignError
from videoalign.training.latent_cache import Bucket, Encoders, build_cache
from videoalign.training.latent_cache.clip_pixels import read_clip, read_first_frame

BOTH = ("image_latents", "image_embeds")


@pytest.fixture
def clips(tmp_path):
    """Three clips that begin with one image (as well as their codec keeps it), and one that begins with another."""
    return [write_clip(tmp_path / f"{number}.mp4", number, image=50 if number < 3 else 51) for number in range(4)]


@pytest.fixture
def rows(clips):
    """Two pairs that share a clip, and a single clip."""
    return [
        clip_row(PROMPTS[0], (clips[0], clips[1]), "pairs.jsonl, row 1"),
        clip_row(PROMPTS[0], (clips[2], clips[1]), "pairs.jsonl, row 2"),
        clip_row(PROMPTS[1], (clips[3],), "pairs.jsonl, row 3"),
    ]


@pytest.fixture
def clip_file(tmp_path):
    return save_clip(tiny_clip(), tmp_path / "clip_vision_h.safetensors")


@pytest.fixture
def build(tmp_path, tiny_vae, clip_file):
    def run(rows, entries=BOTH, image_encoder=clip_file, bucket=BUCKET, **options):
        encoders = Encoders(tiny_vae, MicroTextEncoder(), image_encoder=image_encoder)
        return build_cache(tmp_path / "cache", rows, [bucket], encoders, image_entries=entries, **options)

    return run


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def images(tmp_path):
    return sorted((tmp_path / "cache" / "images").glob("*.safetensors"))


def test_compared_clips_have_one_image_the_first_frame_of_one_of_them(rows, clips, build, tiny_vae, clip_file):
    cache = build(rows)
    source = min(clips[:3], key=digest)
    frame = read_clip(source, BUCKET)[:, 0]
    latents, embeds = (
        image_latents(tiny_vae, frame, BUCKET.frames),
        load_image_encoder(clip_file).encode(frame[None])[0],
    )
    for clip in clips[:3]:
        found = cache.image(clip)
        assert torch.equal(found["image_latents"], latents.half().float()) and found["image_latents"].shape == (
            20,
            2,
            4,
            4,
        )
        assert torch.equal(found["image_embeds"], embeds) and embeds.shape == (TOKENS, 64)
    assert not torch.allclose(cache.image(clips[3])["image_latents"], latents, atol=0.1)


def test_which_clip_gives_the_image_does_not_depend_on_who_is_preferred(rows, clips, build):
    before = build(rows).image(clips[0])["image_latents"]
    turned = [clip_row(row.prompt, list(row.clips.values())[::-1], row.name) for row in rows[::-1]]
    assert torch.equal(build(turned).image(clips[0])["image_latents"], before)


def test_without_images_there_are_none_and_only_what_is_asked_for_is_made(rows, clips, build, tmp_path):
    assert build(rows, entries=(), image_encoder=None).image(clips[0]) == {}
    assert not images(tmp_path) and not (tmp_path / "cache" / "first_frames.json").exists()
    assert list(build(rows, entries=("image_latents",), image_encoder=None).image(clips[0])) == ["image_latents"]
    assert len(images(tmp_path)) == 2


def test_a_second_build_encodes_nothing_and_compares_nothing(rows, build, monkeypatch):
    from videoalign.training.latent_cache import build as build_module
    from videoalign.training.latent_cache import first_frames

    build(rows)
    for module in (first_frames, build_module):
        monkeypatch.setattr(module, "read_first_frame", lambda *_: pytest.fail("a first frame was read again"))
    for name in ("vae", "image_encoder"):
        monkeypatch.setattr(Encoders, name, property(lambda self: pytest.fail("an encoder was loaded")))
    build(rows)


@pytest.mark.slow
def test_another_clip_bucket_vae_or_image_encoder_makes_new_images(rows, clips, build, tiny_vae, tmp_path, monkeypatch):
    build(rows)
    assert len(images(tmp_path)) == 4
    build(rows, bucket=Bucket(32, 32, 1, 8))
    assert len(images(tmp_path)) == 6  # CLIP sees the same pictures
    other = save_clip(tiny_clip(seed=1), tmp_path / "other.safetensors")
    build(rows, image_encoder=other)
    assert len(images(tmp_path)) == 8
    write_clip(clips[3], seed=9, image=52)
    build(rows)
    assert len(images(tmp_path)) == 10
    monkeypatch.setattr(tiny_vae, "weights", "other")
    build(rows)
    assert len(images(tmp_path)) == 12


def test_a_damaged_image_is_made_again(rows, clips, build, tmp_path):
    before = {name: own.clone() for name, own in build(rows).image(clips[0]).items()}  # not a map of the file
    for path in images(tmp_path):
        path.write_bytes(path.read_bytes()[:-8])
    after = build(rows).image(clips[0])
    assert all(torch.equal(before[name], after[name]) for name in BOTH)


def test_a_row_of_clips_that_begin_with_different_images_is_left_out(rows, clips, build, tmp_path, monkeypatch):
    expected = build(rows).image(clips[0])
    rows.append(clip_row(PROMPTS[1], (clips[2], clips[3]), "pairs.jsonl, row 4"))
    assert not build(rows, entries=(), image_encoder=None).left_out  # a text-to-video network does not mind
    for _ in range(2):  # what is known of them is not forgotten
        cache = build(rows)
        [cause] = cache.left_out.values()
        assert re.match(
            r"pairs\.jsonl, row 4: .* do not begin with the same image \(.*remove the row, or compare", cause
        )
        assert cache.kept(rows) == rows[:3]
        assert all(torch.equal(cache.image(clips[0])[name], expected[name]) for name in BOTH)


def test_an_image_that_cannot_be_encoded_takes_the_rows_of_its_clips_along(rows, build, tiny_vae, monkeypatch):
    inner, target = image_latents, read_first_frame(rows[2].clips["a"], BUCKET)

    def made(vae, frame, frames):
        latents = inner(vae, frame, frames)
        return latents * float("nan") if torch.equal(frame, target) else latents

    monkeypatch.setattr("videoalign.backbones.image_conditioning.image_latents", made)
    cache = build(rows)
    assert cache.kept(rows) == rows[:2] and "not finite" in next(iter(cache.left_out.values()))


def test_a_first_frame_is_the_images_own_latent_whatever_the_clips_length(rows, build, tiny_vae):
    cache = build(rows, entries=("first_frame",), image_encoder=None)
    told = [cache.image(clip) for clip in rows[0].clips.values()]
    assert list(told[0]) == ["first_frame"] and torch.equal(told[0]["first_frame"], told[1]["first_frame"])
    frames = [read_first_frame(clip, BUCKET) for clip in rows[0].clips.values()]
    expected = [tiny_vae.encode(frame[None, :, None])[0].half().float() for frame in frames]
    assert any(torch.equal(told[0]["first_frame"], one) for one in expected)


def test_a_missing_image_encoder_is_said_before_a_clip_is_read(rows, build, tmp_path):
    with pytest.raises(VideoAlignError, match=r"Give model\.image_encoder = clip_vision_h\.safetensors"):
        build(rows, image_encoder=None)
    assert not (tmp_path / "cache" / "clips.json").exists()


def test_pictures_are_brought_to_the_first_bucket_as_clips_are(rows, build, tiny_vae, tmp_path):
    levels = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(levels).save(tmp_path / "picture.png")
    cache = build(rows, pictures=[tmp_path / "picture.png"])
    frame = read_first_frame(tmp_path / "picture.png", BUCKET)
    assert frame.shape == (3, 32, 32)
    expected = image_latents(tiny_vae, frame, BUCKET.frames)
    assert torch.equal(cache.image(tmp_path / "picture.png")["image_latents"], expected.half().float())
    large = read_first_frame(tmp_path / "picture.png", Bucket(64, 48, 1, 8))
    assert torch.equal(large, torch.from_numpy(levels).permute(2, 0, 1) / 127.5 - 1)
    with safe_open(images(tmp_path)[0], "pt") as entry:
        assert "image" in entry.metadata()
    with pytest.raises(ClipError, match="cannot be read"):
        build(rows, pictures=[tmp_path / "gone.png"])


def test_the_second_process_of_a_training_finds_the_images_of_the_first(rows, clips, build, tmp_path):
    for main in (True, False):
        build(rows, main=main)
    assert len(images(tmp_path)) == 4
    assert set(build(rows).image(clips[0])) == set(BOTH)
