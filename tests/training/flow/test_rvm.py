"""Signed velocity matching: its gradient, what it is a generalisation of, its rows, and a policy that climbs a known reward."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.preferences.preference_file import PreferencePair, ResolvedPair
from videoalign.training.flow.config import DataConfig
from videoalign.training.flow.method import NoisedClips
from videoalign.training.flow.methods.rvm import FlowRvm, RvmOptions
from videoalign.training.flow.methods.rwr import FlowRwr, RwrOptions
from videoalign.training.flow.methods.sft import FlowSft, SftOptions

SHAPE = (4, 2, 3, 3)


class Toy(torch.nn.Module):
    """A network of one layer over the latents, and a frozen one beside it as the reference."""

    def __init__(self, dtype=torch.float64):
        super().__init__()
        torch.manual_seed(0)
        size = math.prod(SHAPE)
        self.layer, self.base = (torch.nn.Linear(size, size).to(dtype) for _ in range(2))

    def velocity(self, x_t, sigma, conditioning):
        return self.layer(x_t.flatten(1)).view_as(x_t) * (1 + sigma.view(-1, 1, 1, 1, 1))

    @torch.no_grad()
    def reference(self, x_t, sigma, conditioning):
        return self.base(x_t.flatten(1)).view_as(x_t)


def batch(side="clip", weights=(0.3, -0.2, 0.05), dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    clips, noise = (torch.randn(len(weights), *SHAPE, generator=generator, dtype=dtype) for _ in range(2))
    each = torch.tensor(weights, dtype=dtype)
    return NoisedClips({side: clips}, noise, torch.linspace(0.2, 0.9, len(weights), dtype=dtype), {}, each, each)


def gradient(loss, network):
    network.zero_grad()
    loss.mean().backward()
    return network.layer.weight.grad.clone()


def test_the_gradient_is_twice_that_of_the_published_form():
    network, clips, anchor = Toy(), batch(), 0.01
    own = gradient(FlowRvm(RvmOptions(anchor=anchor))(network, clips)[0], network)
    x_t = clips.noisy("clip")
    v = network.velocity(x_t, clips.sigma, {})
    advantage = clips.weight.view(-1, 1, 1, 1, 1)
    step = advantage * (v - clips.velocity("clip")) + anchor * (v - network.reference(x_t, clips.sigma, {}))
    published = 0.5 * (v - (v - step).detach()).square().flatten(1).mean(1)
    torch.testing.assert_close(own, 2 * gradient(published, network), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_one_as_advantage_it_is_sft_and_with_positive_ones_rwr_bit_for_bit(dtype):
    network, rvm = Toy(dtype), FlowRvm(RvmOptions(anchor=0.0, only_better=True))
    for method, side, weights in (
        (FlowSft(SftOptions()), "chosen", (1.0, 1.0, 1.0)),
        (FlowRwr(RwrOptions()), "clip", (0.3, 0.0, 1.7)),
    ):
        (own, _), (other, _) = rvm(network, batch("clip", weights, dtype)), method(network, batch(side, weights, dtype))
        assert torch.equal(own, other) and torch.equal(gradient(own, network), gradient(other, network))


def test_advantages_are_over_a_prompt_in_deviations_of_all():
    rng = np.random.default_rng(0)
    rewards, prompts = rng.normal(0, 1, 12), list("aaaabbbbcccc")
    rewards[0] = 40.0
    found = FlowRvm(RvmOptions(scale=0.5, clip=2.0)).advantages(list(rewards), prompts)
    means = np.repeat(rewards.reshape(3, 4).mean(1), 4)
    expected = 0.5 * np.clip((rewards - means) / (rewards.std() + 1e-4), -2, 2)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def source(number, chosen, rejected, prompt="p"):
    pair = PreferencePair(prompt=prompt, chosen="a", rejected="b", scores_chosen=chosen, scores_rejected=rejected)
    return ResolvedPair(pair, Path(f"{number}a.mp4"), Path(f"{number}b.mp4"), f"row {number}")


def test_every_clip_is_a_row_with_its_advantage_and_one_like_the_others_is_none():
    scores = [{"VQ": value, "MQ": 0.0, "TA": 0.0} for value in (3.0, 1.0, 2.0, 2.0)]
    sources = [source(1, *scores[:2]), source(2, *scores[2:])]
    data = DataConfig(train=[Path("x")], prefer="VQ")
    rows, told = FlowRvm(RvmOptions()).rows(sources, data)
    assert [row.clips["clip"].name for row in rows] == ["1a.mp4", "1b.mp4"]  # the other two are at the mean
    assert rows[0].weight == -rows[1].weight > 0 and "2 clips, 1 better than their prompt's mean and 1 worse" in told
    better, _ = FlowRvm(RvmOptions(only_better=True)).rows(sources, data)
    assert [row.weight for row in better] == [rows[0].weight]
    with pytest.raises(VideoAlignError, match="as good as the others"):
        FlowRvm(RvmOptions()).rows([source(1, scores[2], scores[3])], data)


def test_all_clips_of_a_score_file_count_but_those_of_prompts_that_are_held_out(tmp_path):
    lines = []
    for number, (prompt, still) in enumerate([("p", 0.1), ("p", 0.5), ("p", 0.3), ("q", 0.9), ("q", 0.1)]):
        (tmp_path / f"{number}.mp4").touch()
        row = {"path": f"{number}.mp4", "prompt": prompt, "VQ": float(number), "measures.still": still}
        row |= {"judge": "videoreward+measures", "lower_is_better": ["measures.still"]}
        lines.append(json.dumps(row))
    table = tmp_path / "scores.jsonl"
    table.write_text("\n".join(lines))
    rvm = FlowRvm(RvmOptions(mark="measures.still"))
    rows, _ = rvm.rows([], DataConfig(clips=[table]))
    signs = {row.clips["clip"].name: math.copysign(1, row.weight) for row in rows}
    assert signs["0.mp4"] == 1 and signs["1.mp4"] == -1 and signs["3.mp4"] == -1 and signs["4.mp4"] == 1
    rows, _ = rvm.rows([source(1, {}, {}, prompt="p")], DataConfig(train=[Path("x")], clips=[table]))
    assert {row.prompt for row in rows} == {"p"}
    with pytest.raises(VideoAlignError, match="no clip of a prompt"):
        rvm.rows([source(1, {}, {}, prompt="other")], DataConfig(train=[Path("x")], clips=[table]))


def test_without_an_anchor_worse_clips_are_refused(options):
    with pytest.raises(ValueError, match=r"needs rvm\.only_better"):
        options(method="rvm", rvm={"anchor": 0.0})


class Gaussian(torch.nn.Module):
    """The exact velocity of a model whose clips are N(m, 1), one number each; m is what is trained."""

    def __init__(self, mean=0.0):
        super().__init__()
        self.mean = torch.nn.Parameter(torch.tensor(mean, dtype=torch.float64))

    def velocity(self, x_t, sigma, conditioning):
        s = sigma.view(-1, 1, 1, 1, 1)
        slope = (s - (1 - s)) / (s**2 + (1 - s) ** 2)
        return slope * (x_t - (1 - s) * self.mean) - self.mean

    def reference(self, x_t, sigma, conditioning):
        with torch.no_grad():
            return self.before.velocity(x_t, sigma, conditioning)


def test_a_policy_climbs_a_known_reward_on_its_own_clips_and_stops_at_its_top():
    rng, rvm, policy, means = np.random.default_rng(0), FlowRvm(RvmOptions()), Gaussian(), []
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.1)
    for _ in range(120):
        policy.before = Gaussian(policy.mean.item())
        clips = rng.normal(policy.mean.item(), 1, (32, 8))
        advantages = rvm.advantages(list((-((clips - 3) ** 2)).ravel()), list(np.arange(32).repeat(8)))
        x, noise, sigma = clips.ravel(), rng.normal(size=256), rng.uniform(0.05, 0.95, 256)
        shaped = [torch.tensor(value).view(-1, 1, 1, 1, 1) for value in (x, noise)]
        weight = torch.tensor(advantages)
        loss, _ = rvm(policy, NoisedClips({"clip": shaped[0]}, shaped[1], torch.tensor(sigma), {}, weight, weight))
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        means.append(policy.mean.item())
    assert means[20] > 1 and abs(np.mean(means[-40:]) - 3) < 0.3 and np.ptp(means[-40:]) < 1.5
