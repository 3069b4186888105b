"""Flipped bits in what runs keep for themselves: no traceback, and no wrong value in what they make.

``--flips N`` flips N bits of each kind, seeded; 60 take some minutes.
"""

import random
import re
import shutil

import pytest
import torch
from small_runs import RUNS, result_of

from videoalign.errors import VideoAlignError
from videoalign.files.journal import append_records, read_journal
from videoalign.training.latent_cache.cache import (
    caption_file,
    latents_file,
    read_entry,
    write_caption,
    write_latents,
)
from videoalign.training.loop.state_files import newest_state, save_state

SEED = 1


@pytest.fixture
def flips(request):
    """The number of bits to flip."""
    return request.config.getoption("--flips")


def flipped(content, generator):
    """The content with one bit changed, and where."""
    place = generator.randrange(8 * len(content))
    changed = bytearray(content)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed), place


def same(ours, expected):
    if isinstance(expected, torch.Tensor):
        return isinstance(ours, torch.Tensor) and ours.dtype == expected.dtype and torch.equal(ours, expected)
    if isinstance(expected, dict):
        return ours.keys() == expected.keys() and all(same(ours[name], value) for name, value in expected.items())
    return ours == expected


def test_a_state_is_the_one_that_was_written_or_the_one_before_it(tmp_path, flips):
    def state(seed):
        generator = torch.Generator().manual_seed(seed)
        weights = {name: torch.randn(9, 3, generator=generator) for name in "ab"}
        moments = {"a": {"exp_avg": torch.randn(9, 3, generator=generator), "step": torch.tensor(2.0)}}
        return {
            "fingerprint": {"data": "0123", "seed": 42}, "weights": weights, "random": torch.get_rng_state()[None],
            "optimizer": {"state": moments, "param_groups": [{"lr": 0.1, "params": ["a"]}]}, "random_cuda": [],
        }  # fmt: skip

    for step in (1, 2):
        save_state(tmp_path, step, state(step), keep=2)
    expected = {step: {"step": step, **state(step)} for step in (1, 2)}
    generator, taken = random.Random(SEED), []
    files = sorted((tmp_path / "state-00000002").iterdir())
    assert len(files) == 2
    for _ in range(10 * flips):
        file = generator.choice(files)
        content = file.read_bytes()
        file.write_bytes(flipped(content, generator)[0])
        found = newest_state(tmp_path)
        assert same(found, expected[found["step"]])
        taken.append(found["step"])
        file.write_bytes(content)
    assert 1 in taken and newest_state(tmp_path)["step"] == 2


def test_a_cache_entry_is_right_or_deleted(tmp_path, flips):
    latents = torch.arange(48, dtype=torch.float16).reshape(4, 3, 2, 2)
    text = {"text": torch.ones(5, 4, dtype=torch.bfloat16)}

    def write():
        write_latents(tmp_path, "key", latents, "wan", "64x64x17@8", tmp_path / "clip.mp4")
        write_caption(tmp_path, "key", text, "a prompt")

    write()
    generator, deleted = random.Random(SEED), 0
    for path in (latents_file(tmp_path, "key"), caption_file(tmp_path, "key")):
        expected, content = read_entry(path), path.read_bytes()
        for _ in range(5 * flips):
            path.write_bytes(flipped(content, generator)[0])
            try:
                found = read_entry(path)
            except VideoAlignError as error:
                deleted += 1
                assert not path.exists() and "Run the same command again" in str(error)
                write()
                continue
            assert same(found[0], expected[0]) and found[1] == expected[1]
    assert deleted > 9 * flips  # spaces behind the header may be anything


def test_a_line_of_a_journal_is_right_or_left_out(tmp_path, flips):
    path = tmp_path / "a.jsonl"
    records = [{"id": f"clip {number}", "VQ": number / 7, "prompt": "é \u2028"} for number in range(5)]
    append_records(path, records, checksum=True)
    content, generator = path.read_bytes(), random.Random(SEED)
    for _ in range(10 * flips):
        path.write_bytes(flipped(content, generator)[0])
        assert all(record in records for record in read_journal(path).records)


STORES = {  # what a stopped or finished run goes on from; not what people read (log.jsonl, reports, pages)
    "score": r"scores\.csv\.run/",
    "bench": r"bench/scores\.jsonl\.run/",
    "generate": r"clips/(generate\.json|clips\.jsonl)$",
    "compare": r"comparison/scores_\w+\.jsonl\.run/",
    "train dpo": r"run/(checkpoints|cache)/",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_a_command_goes_on_to_the_right_result_or_says_what_is_damaged(
    name, in_small_world, whole_runs, tmp_path, videoalign, flips
):
    expected, generator = whole_runs[name], random.Random(SEED)
    stopped = _stopped(name, whole_runs.output(name), tmp_path / "stopped")
    stores = [path for path in sorted(stopped.rglob("*")) if path.is_file() and path.stat().st_size]
    stores = [path for path in stores if re.search(STORES[name], path.relative_to(stopped).as_posix())]
    assert stores
    right = refused = 0
    for number in range(flips):
        output = tmp_path / f"run{number}"
        shutil.copytree(stopped, output)
        store = output / generator.choice(stores).relative_to(stopped)
        changed, place = flipped(store.read_bytes(), generator)
        store.write_bytes(changed)
        outcome = videoalign(*RUNS[name].arguments(output))
        if outcome.status == 1 and "and is deleted" in outcome.err:  # a cache entry: the same command makes it anew
            outcome = videoalign(*RUNS[name].arguments(output))
        if outcome.status == 0:
            assert result_of(RUNS[name], output) == expected, (store, place)
            right += 1
        else:
            assert outcome.status == 1 and f"\nvideoalign {name}: " in f"\n{outcome.err}", (store, place, outcome.err)
            refused += 1
        shutil.rmtree(output)
    print(f"\n{name}: {right} right, {refused} refused of {flips}")
    assert right


def _stopped(name, whole, folder):
    """A run's folder as a kill in the middle leaves it, made of a whole one's."""
    shutil.copytree(whole, folder)
    if name == "generate":
        (folder / "clips" / "clips.jsonl").unlink()
        append_records(
            folder / "clips" / "clips.jsonl", read_journal(whole / "clips" / "clips.jsonl").records[:4], checksum=True
        )
    elif name == "train dpo":
        shutil.rmtree(folder / "run" / "checkpoints" / "state-00000003")
        (folder / "run" / "lora.safetensors").unlink()
    return folder
