"""A finished cache is trained from where neither clips nor encoders are."""

import shutil

import pytest
import torch
from small_clips import BUCKET, PROMPTS, clip_row, write_clip

from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.errors import ClipError, VideoAlignError
from videoalign.files.json_text import read_json
from videoalign.training.latent_cache import Bucket, Encoders, build_cache
from videoalign.training.latent_cache.contents import CONTENTS, cache_from_contents


@pytest.fixture
def moved(tmp_path, rows, encoders):
    """The cache of two pairs on another machine, the rows as their files name them there, and what was cached."""
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders, prompts=[""])
    expected = {clip.name: cache.latents(clip) for row in rows for clip in row.clips.values()}
    shutil.copytree(tmp_path / "cache", tmp_path / "elsewhere" / "cache")
    shutil.rmtree(tmp_path / "cache")
    there = [
        clip_row(row.prompt, [tmp_path / "elsewhere" / "data" / clip.name for clip in row.clips.values()], row.name)
        for row in rows
    ]
    return tmp_path / "elsewhere" / "cache", there, expected, cache


def test_a_cache_that_was_moved_gives_what_was_encoded_without_clips_and_encoders(moved):
    folder, rows, expected, built = moved
    cache = cache_from_contents(folder, rows, [BUCKET], [""])
    for row in rows:
        for clip in row.clips.values():
            assert not clip.exists() and torch.equal(cache.latents(clip), expected[clip.name])
        assert cache.conditioning(row.prompt)["text"].shape[1] == 4096
    assert torch.equal(cache.conditioning("")["text"], torch.zeros(1, 4096))
    assert cache.latent_format == built.latent_format and cache.encoders == built.encoders
    assert {cache.digest(clip) for clip in rows[0].clips.values()} == {one["digest"] for one in read_json(folder / CONTENTS)["clips"].values() if one["path"].endswith(("0.mp4", "1.mp4"))}  # fmt: skip
    assert not cache.left_out


def test_rows_that_are_missing_are_named_with_what_to_do(moved, tmp_path):
    folder, rows, _, _ = moved
    unknown = clip_row(PROMPTS[0], (tmp_path / "7.mp4", tmp_path / "8.mp4"), "pairs.jsonl, row 3")
    cache = cache_from_contents(folder, [*rows, unknown], [BUCKET])
    assert cache.kept([*rows, unknown]) == rows
    (why,) = cache.left_out.values()
    assert (
        why.startswith("pairs.jsonl, row 3: ") and "is not in the cache" in why and "Run the training once where" in why
    )
    with pytest.raises(ClipError, match="2 of 3 rows"):
        cache_from_contents(folder, [rows[0], unknown, clip_row(PROMPTS[0], (tmp_path / "9.mp4",), "row 4")], [BUCKET])
    with pytest.raises(VideoAlignError, match="The prompt 'a third' is not in the latent cache"):
        cache_from_contents(folder, rows, [BUCKET], ["a third"])


def test_another_size_is_told_with_those_that_are_there(moved):
    folder, rows, _, _ = moved
    with pytest.raises(VideoAlignError, match=r"no clips at 64x64x5@8; it has 32x32x5@8\. Give data\.width"):
        cache_from_contents(folder, rows, [Bucket(64, 64, 5, 8)])


def test_another_clip_under_the_same_name_is_not_taken_for_the_one_that_was_encoded(moved):
    folder, rows, _, _ = moved
    clip = next(iter(rows[0].clips.values()))
    clip.parent.mkdir()
    write_clip(clip, seed=99)
    cache = cache_from_contents(folder, rows, [BUCKET])
    assert "is another clip than the one that was encoded" in next(iter(cache.left_out.values()))


def test_an_entry_that_was_not_copied_is_named(moved):
    folder, rows, _, _ = moved
    key = next(key for key, one in read_json(folder / CONTENTS)["clips"].items() if one["path"].endswith("0.mp4"))
    (folder / "latents" / f"{key}.safetensors").unlink()
    cache = cache_from_contents(folder, rows, [BUCKET])
    assert "is missing or damaged. Copy the cache folder again" in next(iter(cache.left_out.values()))


def test_clips_of_one_name_are_told_apart_by_their_folders(tmp_path, encoders):
    clips = []
    for seed, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        clips.append(write_clip(tmp_path / folder / "clip.mp4", seed))
    built = build_cache(tmp_path / "cache", [clip_row(PROMPTS[0], clips, "row 1")], [BUCKET], encoders)
    there = [tmp_path / "x" / "y" / folder / "clip.mp4" for folder in ("a", "b")]
    cache = cache_from_contents(tmp_path / "cache", [clip_row(PROMPTS[0], there, "row 1")], [BUCKET])
    assert all(torch.equal(cache.latents(one), built.latents(other)) for one, other in zip(there, clips, strict=True))
    flat = [clip_row(PROMPTS[0], (tmp_path / "x" / "clip.mp4",), "row 1")]
    with pytest.raises(ClipError, match=r"may be one of .*a/clip\.mp4.*b/clip\.mp4"):
        cache_from_contents(tmp_path / "cache", flat, [BUCKET])


def test_entries_of_several_vaes_are_told_apart_by_the_file(tmp_path, rows, encoders, tiny_vae):
    build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    other = Encoders(tiny_vae, MicroTextEncoder(), tiling=False)
    tiny_vae.set_tiling(True)
    try:
        build_cache(tmp_path / "cache", rows, [BUCKET], other)
    finally:
        tiny_vae.set_tiling(False)
    with pytest.raises(VideoAlignError, match=r"model\.vae is not given, and several made what"):
        cache_from_contents(tmp_path / "cache", rows, [BUCKET])
    chosen = cache_from_contents(tmp_path / "cache", rows, [BUCKET], identities={"vae": tiny_vae.identity})
    assert chosen.encoders["vae"] == tiny_vae.identity


def test_a_folder_of_an_earlier_version_says_what_to_do(tmp_path, rows, encoders):
    build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    (tmp_path / "cache" / CONTENTS).unlink()
    with pytest.raises(VideoAlignError, match=r"there is no contents\.json\. Run the training once"):
        cache_from_contents(tmp_path / "cache", rows, [BUCKET])
