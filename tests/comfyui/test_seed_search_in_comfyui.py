"""*Search Seeds* beside ComfyUI's own samplers, on tiny networks with random weights."""

import os
from pathlib import Path

import pytest
import torch
from comfy_process import ComfyProcess, RemoteError
from comfyui_versions import versions_that_ran
from guidance_prompts import random_reward
from tiny_backbones import save_single, tiny

from videoalign.reward.latent.reward_file import save_latent_reward

pytestmark = pytest.mark.comfyui
SEEDS, STEPS, LOOK = 3, 8, 3


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    tree = Path(os.environ["COMFYUI_PATH"]).resolve()
    made = ComfyProcess(tree, tmp_path_factory.mktemp("process") / "log.txt")
    versions_that_ran.add((tree / "comfyui_version.py").read_text().split('"')[1])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny Wan, another one, and a latent reward for both."""
    folder = tmp_path_factory.mktemp("tiny")
    for seed in (0, 1):
        save_single(tiny("wan-t2v", seed), folder / f"{seed}.safetensors")
    save_latent_reward(folder / "reward.safetensors", random_reward(tiny("wan-t2v", seed=3)), torch.float32)
    other_text = random_reward(tiny("wan-t2v", seed=4, text_dim=64))
    save_latent_reward(folder / "own_text.safetensors", other_text, torch.float32)
    return {
        "model": str(folder / "0.safetensors"),
        "reward": str(folder / "reward.safetensors"),
        "other": str(folder / "1.safetensors"),
        "own_text": str(folder / "own_text.safetensors"),
    }


# The steps of one kind are alike; all forty take minutes.
KINDS = ("euler", "dpmpp_2m", "uni_pc", "res_multistep", "euler_ancestral", "dpmpp_sde", "lcm", "er_sde")
OF_EACH_KIND_OR_ALL = pytest.mark.parametrize(
    "names", [KINDS, pytest.param(None, marks=pytest.mark.slow)], ids=["of each kind", "all"]
)


@pytest.fixture(scope="module")
def search(process, files):
    return lambda **asked: process.call("search_calls.search", model=files["model"], reward=files["reward"], **asked)


@pytest.fixture(scope="module")
def plain(process, files):
    return lambda seed, **asked: process.call("search_calls.plain", model=files["model"], seed=seed, **asked)


@OF_EACH_KIND_OR_ALL
def test_with_every_sampler_the_winner_is_the_clip_of_ksampler_and_the_cost_is_the_formulas(
    process, search, plain, names
):
    comfyuis, ours = process.call("search_calls.listed")
    assert set(comfyuis) - set(ours) == {"dpm_fast", "dpm_adaptive"} and len(ours) >= 40
    wrong = {}
    for name in names or ours:
        found = search(sampler_name=name)
        own = plain(found["seed"], sampler_name=name)
        work = int(found["report"].split(" model evaluations")[0].rpartition(" ")[2])
        equal = torch.equal(found["samples"], own["samples"])
        if not (equal and found["asked"] == work and len(found["marks"]) == SEEDS):
            wrong[name] = (equal, found["asked"], work, own["asked"])
    assert not wrong


@pytest.mark.parametrize("custom", [False, True], ids=["MODEL", "GUIDER"])
@pytest.mark.parametrize(
    "latent",
    [
        {},
        {"seed": 3},
        {"seed": 3, "masked": True},
        {"batch_index": [2]},
    ],
    ids=["empty", "image", "inpainting", "third of a batch"],
)
def test_the_winner_is_what_the_same_wires_give_in_the_sampler_nodes(process, search, plain, custom, latent):
    made = process.call("search_calls.latent_of", **latent)
    about = {
        "latent": made,
        "custom": custom,
        "sampler_name": "dpmpp_2m_sde",
        "denoise": 0.7 if "seed" in latent else 1.0,
    }
    found = search(**about)
    own = plain(found["seed"], **about)
    assert torch.equal(found["samples"], own["samples"]) and found["latent"] == own["latent"]


@pytest.mark.parametrize("look", [2, 4, 5, 8], ids=["in the first", "at the hand-over", "in the second", "at the end"])
def test_two_experts_are_searched_as_two_samplers_in_turn(search, plain, files, look):
    about = {"low_noise": files["other"], "sampler_name": "euler_ancestral"}
    found = search(**about, switch_step=4, look_after=look)
    own = plain(found["seed"], **about, switch=4)
    assert torch.equal(found["samples"], own["samples"])
    assert not torch.equal(own["samples"], plain(found["seed"], sampler_name="euler_ancestral")["samples"])
    work = int(found["report"].split(" model evaluations")[0].rpartition(" ")[2])
    assert work == (3 * look + 8 if look < 8 else 24)
    assert found["asked"] == 3 * min(look, 4) + (4 if look < 8 else 0)  # only the first expert's network counts there


def test_two_guiders_are_searched_as_two_samplers_in_turn(search, plain, files):
    found = search(low_noise=files["other"], custom=True, switch_step=4)
    own = plain(
        found["seed"], low_noise=files["other"], switch=4
    )  # euler: KSamplerAdvanced and SamplerCustomAdvanced agree
    assert torch.equal(found["samples"], own["samples"])


def test_image_to_video_is_searched_by_what_its_conditioning_says(process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("i2v")
    save_single(tiny("wan-i2v"), folder / "wan.safetensors")
    save_latent_reward(folder / "reward.safetensors", random_reward(tiny("wan-t2v", seed=3)), torch.float32)
    generator = torch.Generator().manual_seed(8)
    pictures = [torch.randn(1, 16, 3, 8, 8, generator=generator) for _ in range(2)]
    marks = []
    for picture in pictures:
        about = {"concat_latent_image": picture, "concat_mask": torch.ones(1, 1, 3, 8, 8)}
        found = process.call(
            "search_calls.search",
            model=str(folder / "wan.safetensors"),
            reward=str(folder / "reward.safetensors"),
            about=about,
        )
        own = process.call("search_calls.plain", model=str(folder / "wan.safetensors"), seed=found["seed"], about=about)
        assert torch.equal(found["samples"], own["samples"])
        marks.append(found["marks"])
    assert marks[0] != marks[1]


def test_the_best_go_on_and_come_as_one_batch_best_first(search, plain):
    found = search(seeds=4, keep=2, more_looks="5")
    seeds = [int(seed) for seed in found["seeds"].split(",")]
    assert found["seed"] == seeds[0] and found["order"][:2] == seeds and found["samples"].shape[0] == 2
    for row, seed in zip(found["samples"], seeds, strict=True):
        assert torch.equal(row[None], plain(seed)["samples"])
    assert found["asked"] == 4 * 3 + 3 * 5 + 2 * 8  # 4, then round(4 * sqrt(1/2)), then 2


def test_a_latent_reward_sees_what_eulers_step_gives_it(process, files, search):
    """Recomputed from the network and the reward alone: Euler's rule with classifier-free guidance, and the reward at that level."""
    found = search(seeds=1, look_after=3)
    expected = process.call(
        "search_calls.plain_marks", model=files["model"], reward=files["reward"], seed=5, steps=8, cfg=3.0, look=3
    )
    for name, mark in found["marks"][5].items():
        assert mark == pytest.approx(expected[name], abs=2e-4)


def test_a_latent_reward_with_another_text_encoder_is_told_the_caption_by_its_own_clip(process, files):
    """Its trunk takes texts of 64, the sampler's are of 4096; the marks are those of the caption that its own CLIP has encoded."""
    asked = {"model": files["model"], "reward": files["own_text"], "seeds": 1, "look_after": 3}
    caption = "one red circle moves left"
    found = process.call("search_calls.search", **asked, own_text=True, caption=caption)
    expected = process.call(
        "search_calls.plain_marks", model=files["model"], reward=files["own_text"], seed=5, steps=8, cfg=3.0, look=3,
        own_caption=caption,
    )  # fmt: skip
    for name, mark in found["marks"][5].items():
        assert mark == pytest.approx(expected[name], abs=2e-4)
    other = process.call("search_calls.search", **asked, own_text=True, caption="two blue squares")
    assert other["marks"][5] != found["marks"][5]
    with pytest.raises(Exception, match="text"):
        process.call("search_calls.search", **asked)


def test_previews_are_decoded_by_a_small_decoder_of_comfyui(process, search, tmp_path):
    assert "lighttaew2_1.safetensors" in process.call("search_calls.small_decoder", folder=str(tmp_path))
    (row,) = search(seeds=1, decoder="lighttaew2_1.safetensors")["shown"]["clips"]
    assert row["total_frames"] == 9 and row["frames"]  # of 3 latent frames
    assert (
        search(seeds=1, decoder="lighttaew2_1.safetensors", preview_frames=2)["shown"]["clips"][0]["total_frames"] == 5
    )


def test_calibrating_finishes_all_takes_adds_prompts_and_names_the_step(process, search):
    first = search(mode="calibrate", seeds=3, caption="a")
    # Looks after 3, after half of 8 steps, and at the end, each sampled anew from its seed.
    assert first["asked"] == 3 * (3 + 4 + 8) and "Calibration, 1 prompt since" in first["report"]
    again = search(mode="calibrate", seeds=3, caption="b", first_seed=9)
    assert "Calibration, 2 prompts since" in again["report"] and "2 prompts are few" in again["report"]
    assert "step 8  Spearman 1.00 [1.00, 1.00]  Pearson 1.00 [1.00, 1.00]  share of the gain 1.00" in again["report"]
    step = int(again["report"].partition("Set look_after to ")[2].partition(".")[0])
    assert step in (3, 4, 8) and f"a look after {step} of 8 steps keeps" in again["report"]
    assert first["seed"] == first["order"][0] and first["samples"] is not None
    for limit in ({"budget": 100}, {"budget_seconds": 100.0}):
        with pytest.raises(RemoteError, match="set budget and budget_seconds to 0"):
            search(mode="calibrate", **limit)


def test_more_seeds_another_keep_and_a_choice_sample_only_what_is_new(search, plain):
    first = search(seeds=3)
    again = search(seeds=3, remember=True)
    assert (
        again["asked"] == 0
        and torch.equal(again["samples"], first["samples"])
        and "3 looks were known" in again["report"]
    )
    more = search(seeds=5, remember=True)
    assert more["asked"] == 2 * 3 + (8 if more["seed"] != first["seed"] else 0)
    anew = search(seeds=5)
    assert (
        anew["order"] == more["order"]
        and anew["marks"] == more["marks"]
        and torch.equal(anew["samples"], more["samples"])
    )
    other = next(clip for clip in anew["shown"]["clips"] if clip["seed"] != anew["seed"])
    chosen = search(seeds=5, remember=True, use_this=other["use_this"])
    assert chosen["seed"] == other["seed"] and chosen["asked"] == 8
    assert torch.equal(chosen["samples"], plain(other["seed"])["samples"])


def test_another_model_conditioning_schedule_or_look_is_not_known(search):
    search(seeds=2)
    for change in (
        {"cfg": 4.0},
        {"scheduler": "beta"},
        {"look_after": 4},
        {"sampler_name": "heun"},
        {"about": {"strength": 0.5}},
    ):
        assert search(seeds=2, remember=True, **change)["asked"] > 8, change
    assert search(seeds=2, remember=True)["asked"] == 0


def test_an_interrupt_keeps_what_is_done(process, search):
    with pytest.raises(RemoteError) as error:
        search(seeds=4, interrupt_after=8)  # in the third take's second step
    assert error.value.kind == "InterruptProcessingException"
    assert search(seeds=4, remember=True)["asked"] == 2 * 3 + 8


def test_a_take_that_is_liked_stays_while_the_rest_is_rolled_again(search):
    first = search(seeds=4)
    liked = first["seed"]
    rolled = search(seeds=4, remember=True, first_seed=100, keep_seeds=str(liked), exclude_seeds="101")
    assert sorted(rolled["marks"]) == sorted([liked, 100, 102, 103]) and rolled["marks"][liked] == first["marks"][liked]
    assert rolled["asked"] == 3 * 3 + (0 if rolled["seed"] == liked else 8)


def test_a_take_that_is_good_enough_ends_the_drafting_and_a_budget_limits_it(search):
    ended = search(seeds=4, stop_when="VQ > -1000")
    assert ended["asked"] == 3 + 8 and ended["seed"] == 5 and "good enough" in ended["shown"]["notes"][0]
    limited = search(seeds=8, budget=20)
    assert len(limited["marks"]) == 4 and limited["asked"] == 4 * 3 + 8


def test_seconds_limit_the_seeds_by_a_pace_that_costs_nothing_and_is_kept(process, search):
    free, timed = search(seeds=4), search(seeds=4, budget_seconds=1e6)
    assert timed["marks"] == free["marks"] and timed["asked"] == free["asked"] == 4 * 3 + 8
    assert "A model evaluation takes" in timed["report"] and "known from before" not in timed["report"]
    process.call("search_calls.set_pace", evaluation=1.0, look=0.5)
    limited = search(seeds=8, budget_seconds=19, remember=True)
    assert len(limited["marks"]) == 3  # 3 (3 + 0.5) + 8 = 18.5; a fourth would take 22
    assert "A model evaluation takes 1 s and a look 0.5 s." in limited["report"]
    with pytest.raises(RemoteError, match=r"budget_seconds is 11, .* finishing 1 of 1 takes 11\.5 s"):
        search(seeds=8, budget_seconds=11, remember=True)


@pytest.mark.parametrize(
    "asked, told",
    [
        ({"keep": 4}, "keep is 4, of 3 seeds"),
        ({"look_after": 9}, "look_after 9: the clips are sampled in 8 steps"),
        ({"budget": 7}, "budget is 7 model evaluations"),
        ({"mode": "continue", "sampler_name": "lcm"}, "makes another clip than was judged"),
        ({"denoise": 0.0}, "There are no steps"),
    ],
)
def test_what_cannot_be_is_refused_in_words(search, asked, told):
    with pytest.raises(RemoteError, match=told):
        search(**asked)


def test_a_batch_is_refused_and_so_is_a_switch_behind_the_end(process, search, files):
    with pytest.raises(RemoteError, match="Set its batch_size to 1"):
        search(latent=process.call("search_calls.latent_of", batch=2))
    with pytest.raises(RemoteError, match="switch_step is 8"):
        search(low_noise=files["other"], switch_step=8)


@OF_EACH_KIND_OR_ALL
def test_what_can_be_gone_on_with_ends_near_the_plain_clip_and_nothing_else_does(process, files, names):
    """In standard deviations of the clip, root mean square: rounding of float32 (2**-24, some ten times in 8 steps), or a tenth."""
    known = process.call("search_calls.going_on")
    off = {
        name: process.call("search_calls.seam", model=files["model"], sampler=name, steps=8, look=3)
        for name in names or process.call("search_calls.listed")[1]
    }
    assert {name for name, far in off.items() if far < 5e-6} == set(known["exact"]) & set(off)
    assert {name for name, far in off.items() if 5e-6 <= far < 0.1} == set(known["near"]) & set(off)


@pytest.mark.parametrize("name", ["euler", "heun", "res_multistep", "heunpp2"])
def test_continue_saves_the_steps_before_the_look(search, plain, name):
    found = search(sampler_name=name, mode="continue", more_looks="5", keep=2, seeds=4)
    work = int(found["report"].split(" model evaluations")[0].rpartition(" ")[2])
    assert found["asked"] == work
    if name == "euler":
        assert work == 4 * 3 + 3 * 2 + 2 * 3
        torch.testing.assert_close(found["samples"][:1], plain(found["seed"])["samples"], rtol=0, atol=1e-3)


def test_continue_goes_through_both_experts(search, plain, files):
    found = search(mode="continue", low_noise=files["other"], switch_step=5)
    own = plain(found["seed"], low_noise=files["other"], switch=5)["samples"]
    torch.testing.assert_close(found["samples"], own, rtol=0, atol=1e-3)  # of clips with a standard deviation of 4


@pytest.mark.parametrize("kind, way", [("ltxav", "cfg"), ("ltxav", "basic"), ("h3", "basic")])
def test_a_video_with_sound_is_judged_by_its_video_and_finished_with_its_sound(process, kind, way):
    made, own, marks = process.call("search_calls.search_with_sound", kind=kind, way=way)
    assert len(made) == 2 and len(set(mark["VQ"] for mark in marks.values())) == 2
    for seed, streams in made.items():
        assert len(streams) == 2
        for stream, expected in zip(streams, own[seed], strict=True):
            assert torch.equal(stream, expected)
