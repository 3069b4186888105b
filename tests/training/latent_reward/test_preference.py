"""One training step: what both sides of a pair share, and what the loss counts."""

import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.reward.latent.heads import HeadConfig
from videoalign.reward.latent.latent_reward import LatentReward
from videoalign.training.latent_reward.config import LossConfig, NoiseConfig
from videoalign.training.latent_reward.preference import PreferenceStep, accuracy


class Seen(torch.nn.Module):
    """A reward that remembers what it was shown, and says the mean of the latent."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x_t, sigma, conditioning):
        self.x_t, self.sigma, self.conditioning = x_t, sigma, conditioning
        return x_t.flatten(1).mean(1)[:, None] * self.weight


def step(clean=False, **loss):
    return PreferenceStep(Seen(), LossConfig(**loss), clean)


def test_both_clips_of_a_pair_get_the_same_noise_and_the_same_level(bright_pairs):
    data = bright_pairs(6)
    batch = data.training_batch(range(6), 12, 1, NoiseConfig())[0]
    module = step()
    module.rewards(batch)
    x_t, sigma = module.reward.x_t, batch.sigma[batch.a].reshape(-1, 1, 1, 1, 1)
    assert torch.equal(module.reward.sigma, batch.sigma) and torch.equal(batch.sigma[batch.a], batch.sigma[batch.b])
    for side, clean in zip(
        (batch.a, batch.b), zip(*(pair_latents(data, row) for row in range(6)), strict=True), strict=True
    ):
        assert torch.equal(batch.latents[side], torch.stack(clean))
        assert torch.allclose(x_t[side] - (1 - sigma) * batch.latents[side], sigma * batch.noise[batch.a], atol=1e-5)
    assert len(set(batch.sigma.tolist())) == 6 and not torch.equal(batch.noise[batch.a[0]], batch.noise[batch.a[1]])


def pair_latents(data, row):
    return [data.cache.latents(path) for path in (data.pairs[row].chosen, data.pairs[row].rejected)]


def test_a_sample_s_noise_depends_on_its_number_and_not_on_how_the_batch_is_divided(bright_pairs):
    data = bright_pairs(6)
    noise = lambda rows, first, seed: (  # noqa: E731
        lambda batch: (batch.noise[batch.a], batch.sigma[batch.a])
    )(data.training_batch(rows, first, seed, NoiseConfig())[0])
    whole, part = noise([3, 1, 4, 0], 8, 1), noise([4, 0], 10, 1)
    assert torch.equal(part[0], whole[0][2:]) and torch.equal(part[1], whole[1][2:])
    for other in (noise([4, 0], 18, 1), noise([4, 0], 10, 2)):
        assert not torch.equal(other[0], part[0]) and not torch.equal(other[1], part[1])


def test_grouped_by_prompt_a_clip_of_several_pairs_is_run_once_and_each_pass_has_new_noise(bright_pairs):
    from dataclasses import replace

    data = bright_pairs(6)
    first = data.pairs[0]
    data.pairs[3] = replace(data.pairs[3], chosen=first.rejected)  # rows 0 and 3 are of one prompt
    batch = data.training_batch([0, 3, 1], 0, 1, NoiseConfig(), by_prompt=True)[0]
    assert len(batch.latents) == 5 and batch.b[0] == batch.a[1]
    assert batch.sigma[batch.a].tolist()[0] == batch.sigma[batch.b].tolist()[1] != batch.sigma[batch.a].tolist()[2]
    split = data.training_batch([3], 1, 1, NoiseConfig(), by_prompt=True)[0]
    assert torch.equal(split.noise[0], batch.noise[batch.a[1]])
    again = data.training_batch([0], 6, 1, NoiseConfig(), by_prompt=True)[0]
    assert not torch.equal(again.noise[0], batch.noise[0])


def test_trained_on_clean_latents_the_network_sees_them_and_is_told_sigma(bright_pairs):
    batch = bright_pairs(4).training_batch(range(4), 0, 1, NoiseConfig())[0]
    module = step(clean=True)
    module([batch])
    assert torch.equal(module.reward.x_t, batch.latents) and torch.equal(module.reward.sigma, batch.sigma)


def test_the_loss_is_bradley_terry_on_the_labels_that_there_are(bright_pairs):
    batch = bright_pairs(5).training_batch(range(5), 0, 1, NoiseConfig())[0]
    module = step(reduction="mean_used")
    loss, _ = module([batch])
    a, b = module.rewards(batch)
    lead = (a - b)[:, :2] * batch.labels[:, :2]  # TA is a tie
    assert loss.item() == pytest.approx(-torch.nn.functional.logsigmoid(lead).mean().item(), rel=1e-5)
    tied = step(type="btt", reduction="mean")
    winner, tie = torch.sigmoid(lead - torch.tensor(5.0).log()), (a - b)[:, 2]
    p_tie = 24 * torch.sigmoid(tie - torch.tensor(5.0).log()) * torch.sigmoid(-tie - torch.tensor(5.0).log())
    expected = -(winner.log().sum() + p_tie.log().sum()) / 15
    assert tied([batch])[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_regression_pulls_each_clip_to_its_score(bright_pairs):
    from dataclasses import replace

    batch = bright_pairs(3).training_batch(range(3), 0, 1, NoiseConfig())[0]
    scores = torch.tensor([[1.0, 5.0, 0.0]] * 3), torch.tensor([[2.0, 4.0, 3.0]] * 3)
    module = step(type="reg")
    loss, _ = module([replace(batch, scores_a=scores[0], scores_b=scores[1])])
    a, b = module.rewards(batch)
    errors = (a - torch.tensor([-2.0, 2.0, 0.0])).square() * torch.tensor([1, 1, 0])
    errors = errors + (b - torch.tensor([-1.0, 1.0, 0.0])).square()
    assert loss.item() == pytest.approx(0.5 * errors.mean().item(), rel=1e-5)


def test_invalid_labels_and_weights_of_zero_give_no_gradient(bright_pairs):
    from dataclasses import replace

    batch = bright_pairs(4).training_batch(range(4), 0, 1, NoiseConfig())[0]
    for changed in (replace(batch, labels=torch.full((4, 3), 22)), replace(batch, weights=torch.zeros(4))):
        module = step(type="btt")
        loss, values = module([changed])
        loss.backward()
        assert module.reward.weight.grad.abs().max() == 0
    assert set(values) == {"acc_VQ", "acc_MQ"}


def test_accuracy_counts_pairs_with_a_winner_and_gives_indifference_a_half():
    difference = torch.tensor([[1.0, 0.0, 1.0], [-1.0, 2.0, 1.0], [3.0, 1.0, 1.0]])
    labels = torch.tensor([[1, 1, 0], [1, -1, 22], [0, 1, 0]])
    assert accuracy(difference, labels) == {"acc_VQ": (0.5, 2.0), "acc_MQ": (0.5, 3.0)}


def test_pairs_of_different_size_are_run_apart_and_count_alike(bright_pairs):
    data = bright_pairs(3)
    for path in (data.pairs[1].chosen, data.pairs[1].rejected):
        data.cache.clips[path] = torch.randn(16, 1, 4, 4)
    module = step()
    together = data.training_batch([0, 1, 2], 0, 1, NoiseConfig())
    assert [len(batch.labels) for batch in together] == [2, 1]
    alone = [module(data.training_batch([row], row, 1, NoiseConfig()))[0] for row in range(3)]
    assert module(together)[0].item() == pytest.approx(sum(alone).item() / 3, rel=1e-5)


def test_clips_of_a_pair_that_differ_in_size_are_refused_by_row(bright_pairs):
    data = bright_pairs(3)
    data.cache.clips[data.pairs[2].rejected] = torch.zeros(16, 1, 4, 4)
    with pytest.raises(VideoAlignError, match=r"pair 2.*\(16, 1, 4, 4\)"):
        data.training_batch([0, 1, 2], 0, 1, NoiseConfig())


def test_the_real_reward_takes_a_batch_and_every_trained_weight_gets_a_gradient(bright_pairs, tiny_wan):
    from videoalign.training.latent_reward.config import Config
    from videoalign.training.latent_reward.trainable import build_trainable

    batch = bright_pairs(4).training_batch(range(4), 0, 1, NoiseConfig())[0]
    model = {"trunk": "t", "vae": "v", "text_encoder": "micro", "head_width": 8}
    for lora in (False, True):
        values = {"data": {"train": ["p"]}, "model": {**model, "lora": lora, "lora_rank": 2}}
        reward = build_trainable(Config.model_validate(values), tiny_wan(), batch)
        loss, _ = PreferenceStep(reward, LossConfig(type="btt"), False)([batch])
        loss.backward()
        trained = {name for name, parameter in reward.named_parameters() if parameter.requires_grad}
        assert {name for name, parameter in reward.named_parameters() if parameter.grad is not None} == trained
        assert not any("proj_out" in name for name in trained)
        assert any("lora_A" in name for name in trained) == lora
        assert ("network.patch_embedding.weight" in trained) == (not lora)


def test_a_reward_of_its_own_type_is_what_the_step_trains(tiny_wan):
    reward = LatentReward(tiny_wan(), HeadConfig("mean", 8))
    assert {name for name, _ in PreferenceStep(reward, LossConfig(), False).named_parameters()} == {
        f"reward.{name}" for name, _ in reward.named_parameters()
    }
