"""``videoalign search`` on the embedded micro model: the winner is the plain clip of its seed, and nothing is done twice."""

import json

import pytest
import torch

from videoalign.backbones.sampling import generate
from videoalign.cli.main import main
from videoalign.errors import VideoAlignError
from videoalign.generation.pipeline import load_pipeline
from videoalign.generation.search.takes import PromptTakes
from videoalign.reward.search.plan import cost, schedule
from videoalign.reward.search.seed_search import Rule, search_seeds
from videoalign.reward.weights import RewardWeights

PROMPTS = ["one red circle moves left over a plain grey ground", "two blue squares move up over a plain black ground"]
STEPS = 4


def table(folder, name="search.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline("micro")


def settings(pipeline, **changes):
    from dataclasses import replace

    return replace(pipeline.backbone.sampling, steps=STEPS, frames=5, **changes)


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_a_take_that_was_stopped_and_gone_on_with_is_the_plain_clip_bit_for_bit(pipeline, guidance_scale):
    sampling = settings(pipeline, guidance_scale=guidance_scale)
    [plain] = generate(pipeline.backbone, None, pipeline.text_encoder, PROMPTS[:1], [7], sampling)
    takes = PromptTakes(pipeline, sampling, PROMPTS[0])
    take = takes.begin(7).go(1).go(3).go(3).go()
    assert torch.equal(take.x[0].float(), plain.latents)
    assert takes.evaluations == STEPS * (1 if guidance_scale == 1 else 2)
    assert torch.equal(takes.begin(7).go().clean, take.clean)
    torch.testing.assert_close(take.clean, plain.latents)  # at the end it foresees what comes out


def test_the_winner_is_the_brightest_preview_and_the_clip_that_generate_makes_of_its_seed(
    tmp_path, search, brightness, capsys
):
    assert search("--clips-per-prompt", "3", "--look", "2") == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert f"3 seeds each: {3 * 2 + 2} steps a prompt, {8 / STEPS:.2f} of one clip's" in told
    rows, [first, second] = table(tmp_path / "out"), table(tmp_path / "out", "clips.jsonl")
    for clip in (first, second):
        looks = [row for row in rows if row["prompt"] == clip["prompt"]]
        assert max(looks, key=lambda row: row["grey"])["seed"] == clip["seed"] and len(looks) == 3
        assert [row["seed"] for row in looks if row["kept"]] == [clip["seed"]]
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count(" went on</div>") == 2 and f'src="{first["path"]}"' in page and "previews/00001_2-2.mp4" in page
    plain = [
        "generate",
        tmp_path / "prompts.txt",
        "--output",
        tmp_path / "plain",
        "--clips-per-prompt",
        3,
        "--sampling.steps",
        STEPS,
    ]
    assert main([str(word) for word in [*plain, "--sampling.frames", 5, "--device", "cpu"]]) == 0
    for clip in (first, second):
        assert (tmp_path / "out" / clip["path"]).read_bytes() == (tmp_path / "plain" / clip["path"]).read_bytes()


def test_more_seeds_and_a_second_run_judge_only_what_is_new(tmp_path, search, brightness):
    assert search("--clips-per-prompt", "2", "--look", "1") == 0 and brightness.seen == 4
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "videos").iterdir()}
    assert search("--clips-per-prompt", "2", "--look", "1") == 0 and brightness.seen == 4
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "videos").iterdir()} == before
    assert search("--clips-per-prompt", "4", "--look", "1") == 0 and brightness.seen == 8
    assert search("--clips-per-prompt", "4", "--look", "1", output="anew") == 0
    assert table(tmp_path / "out") == table(tmp_path / "anew")
    assert [row["seed"] for row in table(tmp_path / "out", "clips.jsonl")] == [row["seed"] for row in table(tmp_path / "anew", "clips.jsonl")]  # fmt: skip


def test_gates_are_vetoes_and_a_prompt_whose_takes_are_all_out_has_no_clip(tmp_path, search, brightness, capsys):
    assert search("--clips-per-prompt", "2", "--gate", "grey>300") == 1
    told = capsys.readouterr()
    assert "0 clips of 2 prompts" in told.out and "no take is left: grey is" in told.err
    assert "No clip: no take is left" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert search("--clips-per-prompt", "2", "--enough", "grey>0") == 0  # the first take is good enough
    assert [row["seed"] for row in table(tmp_path / "out")] == [0, 0]


def test_a_latent_reward_judges_without_a_preview(tmp_path, search, brightness):
    words = ["--clips-per-prompt", "2", "--judge", "latent:micro", "--look", "2"]
    assert main(["search", str(tmp_path / "prompts.txt"), "--output", str(tmp_path / "out"), "--sampling.steps", str(STEPS), *words, "--device", "cpu"]) == 0  # fmt: skip
    assert not (tmp_path / "out" / "previews").exists() and {"VQ", "MQ", "TA"} <= table(tmp_path / "out")[0].keys()


def test_what_cannot_be_is_refused_before_anything_is_sampled(tmp_path, search, brightness, capsys):
    for words, status, told in (
        (["--look", "9"], 1, "sampled in 4 steps"),
        (["--clips-per-prompt", "2", "--keep", "3"], 2, "keep is 3, of 2 seeds"),
        (["--gate", "grey"], 2, "is no gate"),
        (["--judge", "latent:micro"], 2, "a latent reward judges alone"),
        (["--layout", "vbench"], 2, "no layout vbench"),
        (["--budget", "3"], 1, "--budget 3 steps do not finish 1 clips of 4 steps"),
    ):
        assert search(*words) == status, words
        assert told in capsys.readouterr().err


class ByNumber:
    """Marks a take by a table, seed -> mark after each step."""

    lower_is_better = frozenset()

    def __init__(self, table):
        self.table, self.asked = table, []

    def marks(self, take, prompt):
        self.asked.append((take.seed, take.step))
        if self.table[take.seed] is None:
            raise VideoAlignError("it is broken")
        return {"x": self.table[take.seed] + 0.1 * take.step}, None


def test_the_field_is_halved_look_by_look_and_what_cannot_be_judged_is_out(pipeline):
    takes = PromptTakes(pipeline, settings(pipeline, guidance_scale=1.0), PROMPTS[0])
    judge = ByNumber({0: 1.0, 1: 4.0, 2: None, 3: 2.0, 4: 3.0})
    plan = schedule([1, 2], 5, 1)
    found, held = search_seeds(takes, PROMPTS[0], range(5), plan, judge, Rule(RewardWeights({"x": 1})))
    assert plan == [(1, 2), (2, 1)] and found.best == [1] and list(held) == [1] and held[1].step == 2
    assert judge.asked == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (4, 2)]
    assert [look.out for look in found.looks if look.seed == 2] == [("it is broken",)]
    held[1].go()
    assert takes.evaluations == cost(plan, 5, STEPS)
