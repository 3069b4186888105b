"""Building and reading a latent cache."""

import errno
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
import torch
from safetensors.torch import save_file
from small_clips import BUCKET, PROMPTS, clip_row, write_clip

from videoalign.backbones.micro_text import MicroTextEncoder, encode_caption
from videoalign.errors import ClipError, VideoAlignError
from videoalign.files import claims
from videoalign.training.latent_cache import Bucket, Encoders, build_cache
from videoalign.training.latent_cache.clip_pixels import read_clip


def entries(folder):
    return sorted(path.relative_to(folder) for path in folder.glob("*/*.safetensors"))


def test_the_cache_holds_what_the_encoders_give(tmp_path, rows, encoders, tiny_vae):
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders, prompts=[""])
    assert cache.latent_format == "wan2.1"
    for row in rows:
        for clip in row.clips.values():
            expected = tiny_vae.encode(read_clip(clip, BUCKET)[None])[0]
            assert cache.latents(clip).dtype == torch.float32
            assert torch.equal(cache.latents(clip), expected.half().float())
            assert (cache.latents(clip) - expected).abs().max() < 1e-3 * expected.abs().max()
        assert torch.equal(cache.conditioning(row.prompt)["text"], encode_caption(row.prompt))
    assert torch.equal(cache.conditioning("")["text"], torch.zeros(1, 4096))


def test_a_second_build_encodes_nothing_and_loads_nothing(tmp_path, rows, encoders, encoded_clips):
    build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert encoded_clips.calls == 4

    class Unloadable(Encoders):
        vae = text_encoder = property(lambda self: pytest.fail("an encoder was loaded"))

    cache = build_cache(tmp_path / "cache", rows, [BUCKET], Unloadable(encoders.vae, MicroTextEncoder()))
    assert cache.latents(rows[0].clips["a"]).shape == (16, 2, 4, 4)


def test_encoders_come_from_files_are_loaded_only_when_needed_and_dropped_afterwards(
    tmp_path, rows, tiny_vae, encoders
):
    state = {name: tensor.contiguous() for name, tensor in tiny_vae.original_state_dict().items()}
    save_file(state, tmp_path / "vae.safetensors")
    loads = []

    class Watched(Encoders):
        @property
        def vae(self):
            loads.append("vae")
            return super().vae

    from_files = Watched(tmp_path / "vae.safetensors", "micro")
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], from_files)
    assert loads == ["vae"] * 4 and from_files._loaded_vae is None and from_files._loaded_text_encoder is None
    expected = build_cache(tmp_path / "other", rows, [BUCKET], encoders)
    for row in rows:
        assert torch.equal(cache.latents(row.clips["a"]), expected.latents(row.clips["a"]))
        assert torch.equal(cache.conditioning(row.prompt)["text"], expected.conditioning(row.prompt)["text"])
    build_cache(tmp_path / "cache", rows, [BUCKET], from_files)
    assert len(loads) == 4


def test_padding_of_a_text_is_not_stored_and_comes_back(tmp_path, rows, tiny_vae):
    class Padded(MicroTextEncoder):
        def encode(self, captions):
            found = super().encode(captions)
            return [{"text": torch.nn.functional.pad(own["text"], (0, 0, 0, 512 - len(own["text"])))} for own in found]

    cache = build_cache(tmp_path / "cache", rows, [BUCKET], Encoders(tiny_vae, Padded()), prompts=[""])
    assert torch.equal(cache.conditioning(PROMPTS[0])["text"], Padded().encode([PROMPTS[0]])[0]["text"])
    assert torch.equal(cache.conditioning("")["text"], torch.zeros(512, 4096))
    assert sum(path.stat().st_size for path in (tmp_path / "cache" / "captions").iterdir()) < 1_000_000


def test_a_changed_clip_bucket_or_encoder_is_encoded_anew(
    tmp_path, rows, encoders, tiny_vae, encoded_clips, monkeypatch
):
    folder = tmp_path / "cache"
    before = build_cache(folder, rows, [BUCKET], encoders).latents(rows[0].clips["a"])

    write_clip(rows[0].clips["a"], seed=99)
    changed = build_cache(folder, rows, [BUCKET], encoders).latents(rows[0].clips["a"])
    assert encoded_clips.calls == 5 and not torch.allclose(changed, before, atol=0.1)

    build_cache(folder, rows, [Bucket(32, 32, 1, 8)], encoders)
    assert encoded_clips.calls == 9

    monkeypatch.setattr(tiny_vae, "weights", "other")
    build_cache(folder, rows, [BUCKET], encoders)
    assert encoded_clips.calls == 13

    monkeypatch.setattr(MicroTextEncoder, "identity", "other")
    count = len(list((folder / "captions").iterdir()))
    build_cache(folder, rows, [BUCKET], encoders)
    assert encoded_clips.calls == 13 and len(list((folder / "captions").iterdir())) == 2 * count


def test_a_copy_of_a_clip_is_not_encoded_again(tmp_path, rows, encoders, encoded_clips):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(rows[0].clips["a"].read_bytes())
    cache = build_cache(tmp_path / "cache", [*rows, clip_row(PROMPTS[0], (copy,), "row 3")], [BUCKET], encoders)
    assert encoded_clips.calls == 4
    assert torch.equal(cache.latents(copy), cache.latents(rows[0].clips["a"]))


def test_clips_that_rows_link_share_a_bucket(tmp_path, encoders):
    long = [write_clip(tmp_path / f"long{number}.mp4", number, frames=9) for number in range(2)]
    short = write_clip(tmp_path / "short.mp4", 7, frames=5)
    alone = write_clip(tmp_path / "alone.mp4", 8, frames=9)
    rows = [
        clip_row(PROMPTS[0], (long[0], long[1]), "row 1"),
        clip_row(PROMPTS[0], (long[1], short), "row 2"),
        clip_row(PROMPTS[0], (alone,), "row 3"),
    ]
    cache = build_cache(tmp_path / "cache", rows, [BUCKET, Bucket(32, 32, 9, 8)], encoders)
    assert {cache.latents(clip).shape[1] for clip in (*long, short)} == {2}
    assert cache.latents(alone).shape[1] == 3


def test_a_pair_that_cannot_be_made_equal_is_left_out_with_its_cause(tmp_path, rows, encoders, encoded_clips):
    short = write_clip(tmp_path / "short.mp4", 7, frames=5)
    wide = write_clip(tmp_path / "wide.mp4", 8, width=64, frames=9)
    tiny = write_clip(tmp_path / "tiny.mp4", 9, frames=2)
    unequal = clip_row(PROMPTS[0], (short, wide), "pairs.jsonl, row 3")
    unfit = clip_row(PROMPTS[0], (tiny, short), "pairs.jsonl, row 4")
    cache = build_cache(tmp_path / "cache", [*rows, unequal, unfit], [BUCKET, Bucket(64, 32, 9, 8)], encoders)
    causes = sorted(cache.left_out.values())
    assert re.search(r"row 3: its clips \(32x32x5@8 and 64x32x9@8\) cannot be made equal", causes[0])
    assert re.search(r"row 4: .*tiny\.mp4 fits no bucket: it has 2 frames", causes[1])
    assert cache.kept([*rows, unequal, unfit]) == rows and encoded_clips.calls == 4


def test_rows_whose_links_ask_too_much_are_left_out_and_the_others_go_on(tmp_path, rows, encoders):
    """The first and the second pair are sound by themselves, and share a clip; no bucket suits all three clips."""
    narrow, middle, wide = (
        write_clip(tmp_path / f"{width}.mp4", width, width=width, height=64) for width in (64, 88, 120)
    )
    linked = [clip_row(PROMPTS[0], (narrow, middle), "row 3"), clip_row(PROMPTS[0], (middle, wide), "row 4")]
    buckets = [BUCKET, Bucket(64, 32, 5, 8)]
    for row in linked:
        assert not build_cache(tmp_path / "cache", [*rows, row], buckets, encoders).left_out
    cache = build_cache(tmp_path / "cache", [*rows, *linked], buckets, encoders)
    assert cache.kept([*rows, *linked]) == rows
    assert all("shares clips with other rows" in cause for cause in cache.left_out.values())


@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("middle", "truncated", "text", "no decoder")),
    ],
)
def test_a_clip_that_cannot_be_read_takes_its_row_and_no_other_along(tmp_path, rows, encoders, damage, encoded_clips):
    clip = rows[1].clips["a"]
    content = clip.read_bytes()
    if damage == "missing":
        clip.unlink()
    elif damage == "no decoder":
        clip.write_bytes(content.replace(b"avc1", b"zzzz"))
    elif damage == "middle":  # the first frame can be read, a later one cannot: found while it is encoded
        clip.write_bytes(damaged_in_the_middle(clip, content))
    else:
        clip.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"not a video")
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    [cause] = cache.left_out.values()
    assert re.search(r"pairs\.jsonl, row 2: .*2\.mp4", cause) and cache.kept(rows) == rows[:1]
    assert cache.latents(rows[0].clips["b"]).shape == (16, 2, 4, 4)
    # A run that goes on leaves out the same rows for the same causes, and tries nothing again.
    calls = encoded_clips.calls
    again = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert again.left_out == cache.left_out and encoded_clips.calls == calls


def damaged_in_the_middle(clip, content):
    """The file with its last frames' bytes overwritten."""
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    broken = bytearray(content)
    for position, size in packets[2:]:
        broken[position : position + size] = bytes(size)
    return bytes(broken)


def test_where_most_rows_fail_the_first_causes_are_told(tmp_path, rows, encoders):
    third = clip_row(PROMPTS[0], (write_clip(tmp_path / "4.mp4", 4),), "pairs.jsonl, row 3")
    for row in rows:
        row.clips["b"].write_bytes(b"not a video")
    with pytest.raises(ClipError, match=r"2 of 3 rows cannot be used; .*row 1: .*1\.mp4 .*row 2: .*3\.mp4"):
        build_cache(tmp_path / "cache", [*rows, third], [BUCKET], encoders)
    with pytest.raises(ClipError, match="1 of 1 rows"):
        build_cache(tmp_path / "cache", rows[:1], [BUCKET], encoders)


def test_a_full_disk_and_an_interruption_end_the_run(tmp_path, rows, encoders, tiny_vae, monkeypatch):
    for error in (
        KeyboardInterrupt(),
        OSError(errno.ENOSPC, "No space left on device"),
        ZeroDivisionError("a mistake"),
    ):

        def broken(video, error=error):
            raise error

        monkeypatch.setattr(tiny_vae, "encode", broken)
        with pytest.raises(type(error)):
            build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert not list((tmp_path / "cache").rglob("*.refused.json"))


@pytest.mark.parametrize(
    "fault",
    [
        "not finite",
        pytest.param("memory", marks=pytest.mark.slow),
        pytest.param("device memory", marks=pytest.mark.slow),
    ],
)
def test_a_clip_that_the_vae_cannot_encode_is_left_out(tmp_path, rows, encoders, tiny_vae, monkeypatch, fault):
    inner, target = tiny_vae.encode, read_clip(rows[1].clips["b"], BUCKET)

    def encode(video):
        if not torch.equal(video[0], target):
            return inner(video)
        if fault == "not finite":
            return torch.full((1, 16, 2, 4, 4), float("nan"))
        raise MemoryError("8 GB") if fault == "memory" else torch.OutOfMemoryError("8 GB")

    monkeypatch.setattr(tiny_vae, "encode", encode)
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    [cause] = cache.left_out.values()
    assert ("row 2: the latents of" if fault == "not finite" else "does not fit into memory (8 GB)") in cause
    assert "3.mp4" in cause and cache.kept(rows) == rows[:1] and pickle.loads(pickle.dumps(cache)).left_out
    # What was refused is kept in mind, so that a run that goes on has the same rows, until its file is deleted.
    monkeypatch.setattr(tiny_vae, "encode", inner)
    assert build_cache(tmp_path / "cache", rows, [BUCKET], encoders).left_out == cache.left_out
    next((tmp_path / "cache").rglob("*.refused.json")).unlink()
    assert not build_cache(tmp_path / "cache", rows, [BUCKET], encoders).left_out


def test_a_vae_that_fails_on_everything_is_refused_and_tried_again_by_the_next_run(
    tmp_path, rows, encoders, tiny_vae, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(tiny_vae, "encode", lambda video: torch.full((1, 16, 2, 4, 4), float("nan")))
        with pytest.raises(ClipError, match=r"2 of 2 rows .*row 1: the latents of .*0\.mp4 are not finite"):
            build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert not entries(tmp_path / "cache" / "latents")
    assert not build_cache(tmp_path / "cache", rows, [BUCKET], encoders).left_out


def test_a_damaged_entry_is_encoded_again(tmp_path, rows, encoders, encoded_clips):
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    expected = cache.latents(rows[0].clips["a"])
    path = next((tmp_path / "cache" / "latents").iterdir())
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(VideoAlignError, match="encoded anew"):
        [cache.latents(clip) for row in rows for clip in row.clips.values()]
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert encoded_clips.calls == 5 and torch.equal(cache.latents(rows[0].clips["a"]), expected)


def test_what_is_not_in_the_cache_is_named(tmp_path, rows, encoders):
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert rows[0].clips["a"] in cache and tmp_path / "other.mp4" not in cache
    with pytest.raises(VideoAlignError, match=r"other\.mp4 is not in the latent cache"):
        cache.latents(tmp_path / "other.mp4")
    with pytest.raises(VideoAlignError, match="'a dog' is not in the latent cache"):
        cache.conditioning("a dog")
    with pytest.raises(VideoAlignError, match="No bucket"):
        build_cache(tmp_path / "cache", rows, [], encoders)


ELSEWHERE = """
import sys
from pathlib import Path
from videoalign.files.claims import Claims
with Claims(Path(sys.argv[1])) as claims:
    claims.take(iter(sys.argv[2:]))
    print("taken", flush=True)
    sys.stdin.readline()
"""


def test_what_another_process_encodes_is_left_to_it_and_taken_over_when_it_dies(
    tmp_path, rows, encoders, encoded_clips, monkeypatch
):
    whole = build_cache(tmp_path / "whole", rows, [BUCKET], encoders)
    first = next((tmp_path / "whole" / "latents").glob("*.safetensors")).stem  # keys do not depend on the folder
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "cache"), f"latents/{first}"]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "taken\n"
    encoded_clips.calls, waited = 0, []

    def sleep(_seconds):
        if not waited:  # the others are encoded; this one is waited for, until its process dies
            waited.append(encoded_clips.calls)
            other.kill()
            other.communicate()

    monkeypatch.setattr(claims.time, "sleep", sleep)
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    assert (waited, encoded_clips.calls) == ([3], 4)
    for row in rows:
        for clip in row.clips.values():
            assert torch.equal(cache.latents(clip), whole.latents(clip))


def test_the_cache_can_be_pickled_for_loader_processes(tmp_path, rows, encoders):
    cache = build_cache(tmp_path / "cache", rows, [BUCKET], encoders)
    copied = pickle.loads(pickle.dumps(cache))
    assert torch.equal(copied.latents(rows[0].clips["a"]), cache.latents(rows[0].clips["a"]))


KILLED = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
from pathlib import Path
from small_clips import clip_row
from tiny_vaes import tiny_wan21
from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.training.latent_cache import Bucket, Encoders, build_cache
clips = sorted(Path({clips!r}).glob("?.mp4"))
rows = [clip_row({prompt!r}, (clip,), clip.name) for clip in clips]
build_cache({folder!r}, rows, [Bucket(32, 32, 5, 8)], Encoders(tiny_wan21(), MicroTextEncoder()))
"""


@pytest.mark.long
def test_a_killed_build_goes_on_where_it_was(tmp_path, encoders, encoded_clips):
    for number in range(9):
        write_clip(tmp_path / f"{number}.mp4", number)
    folder = tmp_path / "cache"
    here = Path(__file__).parent
    script = KILLED.format(
        tests=str(here.parents[1] / "backbones"),
        here=str(here),
        clips=str(tmp_path),
        prompt=PROMPTS[0],
        folder=str(folder),
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    while len(list(folder.glob("latents/*.safetensors"))) < 2 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(folder.glob("latents/*.safetensors")))
    rows = [clip_row(PROMPTS[0], (tmp_path / f"{number}.mp4",), f"row {number}") for number in range(9)]
    cache = build_cache(folder, rows, [BUCKET], encoders)
    assert kept >= 2 and encoded_clips.calls == 9 - kept
    expected = build_cache(tmp_path / "other", rows, [BUCKET], encoders)
    for row in rows:
        assert torch.equal(cache.latents(row.clips["a"]), expected.latents(row.clips["a"]))
