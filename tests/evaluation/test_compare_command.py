"""``videoalign compare`` on clips of the micro world, spoilt and clean."""

import json

import numpy as np
import pytest

from videoalign.cli.main import main
from videoalign.evaluation.compare_command import Config
from videoalign.micro_world import Fault, make_clip, sample_scene, write_video
from videoalign.reward.checkpoint_files import open_checkpoint
from videoalign.reward.converted_file import save_converted
from videoalign.reward.loading import read_official


def clips_in(folder, faults, seeds=range(4), prompts=2):
    """A folder as videoalign generate leaves it."""
    (folder / "videos").mkdir(parents=True)
    lines = []
    for number in range(prompts):
        scene = sample_scene(np.random.default_rng(number))
        for seed in seeds:
            clip = make_clip(np.random.default_rng([number, seed]), scene, faults)
            name = f"{number}_{seed}"
            write_video(folder / "videos" / f"{name}.mp4", clip.frames, clip.fps)
            row = {"id": name, "path": f"videos/{name}.mp4", "prompt": clip.caption, "seed": seed, "model": "made up"}
            lines.append(json.dumps(row) + "\n")
    (folder / "clips.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def reward(tmp_path_factory, checkpoints):
    file = tmp_path_factory.mktemp("reward") / "reward.safetensors"
    save_converted(file, read_official(open_checkpoint(checkpoints / "ckpt_full")))
    return file


def compare(base, candidate, output, reward, *options):
    options = ["--model", str(reward), "--judge", "micro-world", "--device", "cpu", *options]
    return main(["compare", str(base), str(candidate), "--output", str(output), *options])


def test_clean_clips_beat_spoilt_ones_by_the_worlds_measurement(tmp_path, reward, capsys):
    base = clips_in(tmp_path / "spoilt", [Fault("blur", 0.9)])
    candidate = clips_in(tmp_path / "clean", [], seeds=range(1, 6))  # seeds 1 to 3 are in both
    assert compare(base, candidate, tmp_path / "out", reward, "--examples", "2") == 0
    text = capsys.readouterr().out
    assert "clean against spoilt: share of 6 pairs" in text and "VQ 100.0% [28.9%, 100.0%]" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["pairs"] == 6
    assert report["judges"]["the world's own measurement"]["VQ"]["wins"] == 6
    assert report["judges"]["the world's own measurement"]["TA"]["ties"] == 6
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Judged by the reward reward" in page and "01_base.mp4" in page and "02_candidate.mp4" in page
    assert "too few to tell, it takes 6 prompts or more" in page  # of the two that there are
    assert report["verdict"]["outcome"] == "too few to tell" and "of 2 prompts only" in text.splitlines()[-3]
    assert report["verdict"]["changes"]["sharpness"]["mean"] > 0 and "What was watched beside the reward" in page
    shown = sorted((tmp_path / "out" / "clips").iterdir())
    assert len(shown) == 4
    import av

    with av.open(str(shown[0])) as container:  # what a browser can play
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


@pytest.mark.parametrize("fault", ["no decoder", "gone"])
def test_a_clip_that_cannot_be_scored_takes_only_its_pair_along(tmp_path, reward, capsys, fault):
    base, candidate = clips_in(tmp_path / "a", [], prompts=1), clips_in(tmp_path / "b", [Fault("noise", 1)], prompts=1)
    victim = candidate / "videos" / "0_2.mp4"
    if fault == "gone":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes().replace(b"avc1", b"zzzz"))
    assert compare(base, candidate, tmp_path / "out", reward) == 1
    text = capsys.readouterr()
    assert "share of 3 pairs" in text.out and "1 pairs are left out" in text.err
    assert f"candidate 0_2: {victim}" in text.err
    assert json.loads((tmp_path / "out" / "report.json").read_text())["pairs"] == 3
    assert len(list((tmp_path / "out" / "clips").iterdir())) == 6


def test_a_second_run_scores_nothing_again(tmp_path, reward):
    base, candidate = clips_in(tmp_path / "a", [], prompts=1), clips_in(tmp_path / "b", [Fault("noise", 1)], prompts=1)
    assert compare(base, candidate, tmp_path / "out", reward) == 0
    journal = next((tmp_path / "out").rglob("part-*.jsonl"))
    before = journal.stat().st_size
    assert compare(base, candidate, tmp_path / "out", reward) == 0
    assert journal.stat().st_size == before


def test_folders_that_do_not_fit_are_refused(tmp_path, reward, capsys):
    base = clips_in(tmp_path / "a", [], seeds=[1], prompts=1)
    other = clips_in(tmp_path / "b", [], seeds=[2], prompts=1)
    assert compare(base, other, tmp_path / "out", reward) == 1
    assert "same prompt and seed" in capsys.readouterr().err
    assert compare(base, tmp_path, tmp_path / "out", reward) == 1
    assert "holds no clips.jsonl" in capsys.readouterr().err
    (base / "videos" / "0_1.mp4").unlink()
    assert compare(base, base, tmp_path / "gone", reward) == 1
    assert "No pair has scores of both clips. base 0_1: " in capsys.readouterr().err
    assert main(["compare", str(base), "--model", "x", "--output", "y"]) == 2


def test_judges_of_0_1_0s_files_are_still_meant_and_an_unknown_one_is_refused_before_anything_runs(tmp_path, capsys):
    folders = {"folders": ["a", "b"], "model": "m", "output": "o"}
    assert Config(**folders, judge="none").judge == []
    assert Config(**folders, judge="micro-world").judge == ["micro-world"]
    assert main(["compare", "a", "b", "--model", "x", "--output", str(tmp_path / "o"), "--judge", "nobody"]) == 2
    assert "no judge 'nobody'" in capsys.readouterr().err


def test_without_a_model_the_embedded_reward_judges_and_the_page_says_so(tmp_path):
    base, candidate = (
        clips_in(tmp_path / name, faults, seeds=[1]) for name, faults in (("a", [Fault("blur", 0.9)]), ("b", []))
    )
    assert main(["compare", str(base), str(candidate), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert "Judged by the embedded micro VideoReward" in (tmp_path / "out" / "index.html").read_text()
