"""``videoalign filter`` on drawn clips: what it writes is read by our own commands, and by others as far as their documents say."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from videoalign.clips.find import find_clips
from videoalign.clips.video_file import write_video
from videoalign.micro_world import make_clip, sample_scene

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GATE = ("--keep", "VQ>0")
# kohya-ss/musubi-tuner, docs/dataset_config.md and dataset/config_utils.py: the keys of [general] and of a video data set, and their
# types; other keys are refused there.
MUSUBI_SHARED = {"caption_extension": str, "batch_size": int, "num_repeats": int, "resolution": list, "enable_bucket": bool, "bucket_no_upscale": bool}  # fmt: skip
MUSUBI_VIDEO = MUSUBI_SHARED | {
    "video_directory": str, "video_jsonl_file": str, "control_directory": str, "target_frames": list, "frame_extraction": str,
    "frame_stride": int, "frame_sample": int, "max_frames": int, "cache_directory": str, "source_fps": float,
}  # fmt: skip
# tdrussell/diffusion-pipe, utils/dataset.py: what is passed over in a folder; everything else is opened as a picture or a clip.
NO_MEDIA = {".txt", ".npz", ".json", ".parquet", ".bak", ".db"}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Six clips of three prompts in two folders with equal names, and their scores: VQ 1 or -1; the last one is of no prompt."""
    folder = tmp_path_factory.mktemp("scored")
    rows = []
    for number in range(6):
        clip = make_clip(np.random.default_rng(number), sample_scene(np.random.default_rng(number % 3)))
        path = f"{'ab'[number // 3]}/clip {number % 3}.mp4"
        write_video(folder / path, clip.frames, clip.fps)
        rows.append(
            {
                "id": f"c{number}",
                "path": path,
                "prompt": clip.caption,
                "VQ": (-1.0) ** number,
                "MQ": float(number),
                "total_frames": 17,
            }
        )
    del rows[5]["prompt"]
    rows[4]["prompt"] = 'a "quoted"\ncaption, zwei Zeilen: ü'
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def filtered(videoalign, scored, tmp_path):
    """Call ``videoalign filter`` into tmp_path/kept."""
    return lambda *options: videoalign(
        "filter", scored / "scores.jsonl", "--output", tmp_path / "kept", "--examples", 2, *options
    )


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_links_with_captions_and_lists_are_written_and_the_page_says_why(filtered, scored, tmp_path):
    outcome = filtered("--keep", "VQ>0", "--keep", "MQ<5")
    assert outcome.status == 0, outcome.err
    assert "3 of 6 clips (3 prompts)" in outcome.out and "3 links." in outcome.out
    assert "3 not VQ > 0; 1 not MQ < 5" in outcome.out
    kept = tmp_path / "kept"
    assert sorted(path.name for path in (kept / "clips").iterdir()) == [
        "clip 0.mp4", "clip 0.txt", "clip 1_2.mp4", "clip 1_2.txt", "clip 2.mp4", "clip 2.txt",
    ]  # fmt: skip
    assert (kept / "clips" / "clip 1_2.mp4").resolve() == scored / "b" / "clip 1.mp4"
    rows = lines(kept / "clips.jsonl")
    assert [(row["id"], row["path"], row["VQ"], row["source"]) for row in rows] == [
        ("c0", "clips/clip 0.mp4", 1.0, "a/clip 0.mp4"), ("c2", "clips/clip 2.mp4", 1.0, "a/clip 2.mp4"),
        ("c4", "clips/clip 1_2.mp4", 1.0, "b/clip 1.mp4"),
    ]  # fmt: skip
    assert rows[0]["total_frames"] == 17 and isinstance(rows[0]["total_frames"], int)
    dropped = lines(kept / "dropped.jsonl")
    assert [row["id"] for row in dropped] == ["c1", "c3", "c5"]
    assert dropped[2]["reasons"] == ["VQ is -1, not > 0", "MQ is 5, not < 5"]
    page = (kept / "index.html").read_text(encoding="utf-8")
    assert "3 of 6 clips kept" in page and "VQ is -1, not &gt; 0" in page and "data:image/webp" in page


def test_our_own_commands_read_the_folder_back(filtered, videoalign, tmp_path):
    assert filtered(*GATE).status == 0
    kept = tmp_path / "kept"
    scored = videoalign("score", kept / "clips", "--captions-from-txt", "--judge", "micro-world", "--json")
    assert [row["prompt"] for row in scored.rows] == [
        row["prompt"].strip() for row in sorted(lines(kept / "clips.jsonl"), key=lambda row: row["path"])
    ]
    again = videoalign("score", "--manifest", kept / "clips.jsonl", "--judge", "micro-world", "--json")
    assert [row["id"] for row in again.rows] == ["c0", "c2", "c4"]
    assert all("VQ" in row for row in again.rows if row["id"] != "c4")  # whose caption is none of the world's
    from videoalign.training.flow.rows import clip_rows

    assert [row.clips["chosen"].is_file() for row in clip_rows(kept / "clips.jsonl", "chosen")] == [True] * 3


def test_musubi_tuner_finds_only_keys_that_it_knows_and_files_that_are_there(filtered, tmp_path):
    assert filtered("--keep", "MQ>1").status == 0  # the clip without a caption among them
    kept = tmp_path / "kept"
    config = tomllib.loads((kept / "musubi-tuner.toml").read_text(encoding="utf-8"))
    assert set(config) == {"general", "datasets"}
    (dataset,) = config["datasets"]
    for section, known in ((config["general"], MUSUBI_SHARED), (dataset, MUSUBI_VIDEO)):
        assert all(type(value) is known[key] for key, value in section.items())
    assert config["general"]["resolution"] == [64, 64]
    assert dataset["target_frames"] == [17] and dataset["frame_extraction"] == "head"
    assert "source_fps" not in dataset  # the clips are slower than the model
    records = lines(Path(dataset["video_jsonl_file"]))
    assert [set(record) for record in records] == [{"video_path", "caption"}] * 3
    assert all(os.path.isabs(record["video_path"]) and os.path.isfile(record["video_path"]) for record in records)
    assert records[2]["caption"] == 'a "quoted"\ncaption, zwei Zeilen: ü'


def test_diffusion_pipe_finds_clips_with_captions_and_nothing_else_in_its_folder(filtered, tmp_path):
    assert filtered("--keep", "VQ>0").status == 0
    config = tomllib.loads((tmp_path / "kept" / "diffusion-pipe.toml").read_text(encoding="utf-8"))
    (directory,) = config["directory"]
    media = [path for path in Path(directory["path"]).glob("*") if path.suffix not in NO_MEDIA]
    assert media and all(path.suffix == ".mp4" and path.with_suffix(".txt").is_file() for path in media)
    assert config["frame_buckets"] == [1, 33]  # 17 frames at 8 fps are 34 at 16
    assert config["resolutions"] == [[64, 64]] and config["enable_ar_bucket"] is True
    assert {"min_ar", "max_ar", "num_ar_buckets"} <= set(config)


def test_a_model_slower_than_the_clips_is_told_their_rate(filtered, tmp_path):
    assert filtered("--keep", "VQ>0", "--model-fps", 4).status == 0
    config = tomllib.loads((tmp_path / "kept" / "musubi-tuner.toml").read_text(encoding="utf-8"))
    assert config["datasets"][0]["source_fps"] == 8.0 and config["datasets"][0]["target_frames"] == [5]


def test_clips_without_a_caption_are_said(filtered, tmp_path):
    outcome = filtered("--keep", "MQ>=4")
    assert "1 of 2 kept clips have no caption (the first is c5)" in outcome.out
    clips = tmp_path / "kept" / "clips"
    assert sorted(path.name for path in clips.iterdir()) == ["clip 1_2.mp4", "clip 1_2.txt", "clip 2_2.mp4"]
    assert "no caption (the first is c5)" in (tmp_path / "kept" / "index.html").read_text(encoding="utf-8")


def test_other_gates_change_the_folder_and_the_same_ones_change_nothing(filtered, scored, tmp_path):
    kept = tmp_path / "kept"
    assert filtered(*GATE).status == 0
    first = content(kept)
    (kept / "clips" / "cache").mkdir()
    (kept / "clips" / "cache" / "latents").write_text("a trainer's")
    assert filtered("--keep", "MQ<2").status == 0
    assert sorted(path.name for path in (kept / "clips").glob("*.*")) == [
        "clip 0.mp4",
        "clip 0.txt",
        "clip 1.mp4",
        "clip 1.txt",
    ]
    assert (kept / "clips" / "cache" / "latents").read_text() == "a trainer's"
    assert filtered(*GATE).status == 0
    again = content(kept)
    again.pop("clips/cache/latents")
    assert again == first
    assert len(list(scored.rglob("*.mp4"))) == 6  # nobody's clips went with the links


def test_what_somebody_changed_is_left_as_it_is(filtered, tmp_path):
    assert filtered(*GATE).status == 0
    config = tmp_path / "kept" / "diffusion-pipe.toml"
    caption = tmp_path / "kept" / "clips" / "clip 0.txt"
    config.write_text("mine")
    caption.write_text("my caption")
    outcome = filtered("--keep", "MQ<2")
    assert "2 files were changed by hand" in outcome.out
    assert (config.read_text(), caption.read_text()) == ("mine", "my caption")
    assert filtered(*GATE).status == 0 and config.read_text() == "mine"
    config.unlink()
    assert filtered(*GATE).status == 0 and "[[directory]]" in config.read_text()


def test_a_run_that_was_killed_leaves_nothing_that_the_next_does_not_know(filtered, tmp_path, monkeypatch):
    from videoalign.evaluation.filtering import folder

    real = folder.FilteredFolder.add_text

    def killed(self, name, text):
        if name == "clips.jsonl":
            raise KeyboardInterrupt
        real(self, name, text)

    with monkeypatch.context() as patched:
        patched.setattr(folder.FilteredFolder, "add_text", killed)
        assert filtered(*GATE).status == 130
    assert (tmp_path / "kept" / "clips" / "clip 0.mp4").exists()
    assert filtered("--keep", "MQ==1").status == 0
    assert sorted(path.name for path in (tmp_path / "kept" / "clips").iterdir()) == ["clip 1.mp4", "clip 1.txt"]


def test_copies_are_files_of_their_own(filtered, scored, tmp_path):
    assert "3 copies." in filtered(*GATE, "--copy").out
    clip = tmp_path / "kept" / "clips" / "clip 0.mp4"
    assert not clip.is_symlink() and clip.read_bytes() == (scored / "a" / "clip 0.mp4").read_bytes()
    assert clip.stat().st_ino != (scored / "a" / "clip 0.mp4").stat().st_ino
    before = clip.stat().st_ino
    assert filtered(*GATE, "--copy").status == 0 and clip.stat().st_ino == before  # not copied again
    assert "3 links." in filtered(*GATE).out and clip.is_symlink()


def test_without_the_right_to_link_there_are_hard_links_and_without_those_copies(filtered, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(1314, "A required privilege is not held by the client")

    clip = tmp_path / "kept" / "clips" / "clip 0.mp4"
    monkeypatch.setattr(os, "symlink", refused)
    outcome = filtered(*GATE)
    assert "3 hard links (links are not permitted here: A required privilege is not held by the client)" in outcome.out
    assert clip.stat().st_nlink == 2 and not clip.is_symlink()
    monkeypatch.setattr(os, "link", refused)
    clip.unlink()
    assert "1 copies" in filtered(*GATE).out and clip.stat().st_nlink == 1


def test_a_folder_of_others_and_clips_inside_the_output_are_refused(videoalign, filtered, scored, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").touch()
    outcome = filtered(*GATE)
    assert outcome.status == 1 and "did not write (notes.txt; there is no filter.json)" in outcome.err
    (tmp_path / "kept" / "notes.txt").unlink()
    assert filtered(*GATE, "--copy").status == 0
    (tmp_path / "kept" / "clips" / "clip 1.mp4").touch()
    outcome = filtered("--keep", "MQ==1")
    assert outcome.status == 1 and "is in the way, and videoalign filter did not write it" in outcome.err
    (tmp_path / "kept" / "clips" / "clip 1.mp4").unlink()
    inner = videoalign("filter", tmp_path / "kept" / "clips.jsonl", "--output", tmp_path / "kept", *GATE)
    assert inner.status == 1 and "lies in the output folder" in inner.err
    assert len(find_clips([str(tmp_path / "kept" / "clips")])) == 3


def test_nothing_is_changed_where_no_clip_is_kept_or_the_words_are_wrong(filtered, tmp_path):
    outcome = filtered("--keep", "VQ>7")
    assert outcome.status == 1 and "None of the 6 clips" in outcome.err and "6 not VQ > 7" in outcome.err
    assert filtered().status == 2
    assert "give --best too" in filtered(*GATE, "--by", "VQ").err
    outcome = filtered("--keep", "VQ=0")
    assert outcome.status == 2 and "is no gate" in outcome.err
    assert not (tmp_path / "kept").exists()
