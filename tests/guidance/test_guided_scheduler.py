"""Guidance inside diffusers pipelines, against the same sampling written out."""

from types import SimpleNamespace

import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.guided_scheduler import guided_scheduler
from videoalign.guidance.settings import RAW, GuidanceSettings

diffusers = pytest.importorskip("diffusers")

LATENT = (16, 2, 4, 4)
STEPS, CFG = 4, 3.0


@pytest.fixture(scope="module")
def pipeline():
    """Wan with random weights, without text encoder and VAE."""
    torch.manual_seed(0)
    transformer = diffusers.WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, text_dim=16, freq_dim=16, ffn_dim=32, num_layers=1
    ).eval()
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    made = diffusers.WanPipeline(
        tokenizer=None, text_encoder=None, vae=None, transformer=transformer, scheduler=scheduler
    )
    made.set_progress_bar_config(disable=True)
    return made


class Reward:
    """A smooth function of the latent, the noise level and the text."""

    def __init__(self):
        generator = torch.Generator().manual_seed(3)
        self.direction = torch.randn(LATENT, generator=generator)

    def __call__(self, x_t, sigma, conditioning):
        along = (x_t * self.direction).mean((1, 2, 3, 4)) * (1 + sigma) + conditioning["text"].mean((1, 2))
        return torch.stack([along, along**2, torch.tanh(along)], 1)


@pytest.fixture
def prompt():
    generator = torch.Generator().manual_seed(5)
    return torch.randn(3, 6, 16, generator=generator).chunk(3)  # positive, negative, unused


def guidance(strength):
    return FlowNRG(Reward(), GuidanceSettings({"VQ": 1.0, "MQ": 0.5}, strength, RAW, cap=None))


def run(pipeline, prompt, steered):
    positive, negative, _ = prompt
    noise = torch.randn(1, *LATENT, generator=torch.Generator().manual_seed(9))
    arguments = dict(
        prompt_embeds=positive, negative_prompt_embeds=negative, guidance_scale=CFG, latents=noise, output_type="latent",
        num_inference_steps=STEPS, height=32, width=32, num_frames=5,
    )  # fmt: skip
    if steered is None:
        return pipeline(**arguments).frames
    with guided_scheduler(pipeline.scheduler, steered, {"text": positive}):
        return pipeline(**arguments).frames


@torch.no_grad()
def written_out(pipeline, prompt, steered):
    """Euler with classifier-free guidance and the shift after it."""
    positive, negative, _ = prompt
    x = torch.randn(1, *LATENT, generator=torch.Generator().manual_seed(9))
    pipeline.scheduler.set_timesteps(STEPS)
    sigmas = pipeline.scheduler.sigmas.tolist()
    run = steered.begin()
    for sigma, following in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        if following == sigma:
            break
        with_text, without = (
            pipeline.transformer(x, torch.tensor([sigma * 1000]), text, return_dict=False)[0]
            for text in (positive, negative)
        )
        v = without + CFG * (with_text - without)
        v = run.shift_velocity(x, torch.tensor([sigma]), v, {"text": positive})
        x = x + (following - sigma) * v
    return x


def test_a_wan_pipeline_is_guided_as_the_same_sampling_written_out(pipeline, prompt):
    guided = run(pipeline, prompt, guidance(200.0))
    torch.testing.assert_close(guided, written_out(pipeline, prompt, guidance(200.0)), rtol=1e-4, atol=1e-4)
    assert (guided - run(pipeline, prompt, None)).abs().max() > 0.1


def test_strength_0_leaves_the_pipelines_result_bit_identical(pipeline, prompt):
    assert torch.equal(run(pipeline, prompt, guidance(0.0)), run(pipeline, prompt, None))


def test_the_scheduler_is_itself_again_afterwards_even_after_an_error(pipeline, prompt):
    before = run(pipeline, prompt, None)
    with pytest.raises(RuntimeError, match="stop"), guided_scheduler(pipeline.scheduler, guidance(200.0), {}):
        raise RuntimeError("stop")
    assert "step" not in vars(pipeline.scheduler)
    assert torch.equal(run(pipeline, prompt, None), before)


def test_a_multistep_scheduler_with_flow_sigmas_is_guided_at_its_own_sigmas(pipeline, prompt):
    kept = pipeline.scheduler
    pipeline.scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    try:
        with guided_scheduler(pipeline.scheduler, guidance(50.0), {"text": prompt[0]}) as steered:
            assert run(pipeline, prompt, None).isfinite().all()
        visited = [
            sigma for sigma in pipeline.scheduler.sigmas.tolist() if 0 < sigma < 1 - 1e-5
        ]  # its first is nearly 1, and skipped
    finally:
        pipeline.scheduler = kept
    assert [point.sigma for point in steered.trace.points] == pytest.approx(visited)
    first = STEPS - len(visited)  # steps that were skipped
    assert [point.step for point in steered.trace.points] == pytest.approx([*range(first, STEPS)])


def test_tokens_are_unpacked_for_the_reward_and_packed_again():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(3)
    x, v = torch.randn(2, 1, *LATENT, generator=torch.Generator().manual_seed(1))
    told = {"text": torch.ones(1, 2, 3)}

    def pack(latent):
        return latent.flatten(2).transpose(1, 2)

    def unpack(tokens):
        return tokens.transpose(1, 2).unflatten(2, LATENT[1:])

    timestep = scheduler.timesteps[1]
    with guided_scheduler(scheduler, guidance(50.0), told, unpack, pack):
        stepped = scheduler.step(pack(v), timestep, pack(x), return_dict=False)[0]
    sigma, following = (float(value) for value in scheduler.sigmas[1:3])
    expected = x + (following - sigma) * guidance(50.0).begin().shift_velocity(x, torch.tensor([sigma]), v, told)
    torch.testing.assert_close(unpack(stepped), expected, rtol=1e-5, atol=1e-5)


def test_a_scheduler_of_another_kind_is_refused_by_name():
    other = SimpleNamespace(config=SimpleNamespace(), step=None)
    with (
        pytest.raises(GuidanceError, match=r"SimpleNamespace does not follow a rectified flow"),
        guided_scheduler(other, guidance(1.0), {}),
    ):
        pass
