"""What ``videoalign plan generate`` counts against what the CPU's allocator gave out for the same work."""

import json

import pytest
import torch
from measured_memory import CONVOLUTIONS, allocated
from tiny_backbones import CONFIGS, tiny
from tiny_vaes import tiny_hunyuan_video, tiny_ltx_video, tiny_wan21, tiny_wan22
from torch.utils.flop_counter import FlopCounterMode

from videoalign.backbones.families import backbone_classes
from videoalign.backbones.sampling import generate, guided_velocity, sample
from videoalign.backbones.sampling_defaults import SamplingDefaults
from videoalign.backbones.vae import VAE
from videoalign.cli.main import main
from videoalign.generation.clip_folder import Wanted
from videoalign.generation.generate_command import Config
from videoalign.generation.pipeline import load_pipeline
from videoalign.generation.plan import count_model, count_sampling, plan_generate
from videoalign.planning.encoding import count_vae
from videoalign.reward.latent.reward_file import describe_latent_reward, load_latent_reward
from videoalign.reward.settings import EMBEDDED_LATENT_FILE
from videoalign.training.plan.flow_step import conditioning_of

CLOSE = 0.1  # the aim; what differs is what the kernels need inside of themselves
TOKENS = 24
TINY_VAES = {
    "wan21": tiny_wan21, "wan22": tiny_wan22, "hunyuan-video": tiny_hunyuan_video, "ltx-video 0.9.0": tiny_ltx_video,
    "ltx-video 0.9.5": lambda: tiny_ltx_video("0.9.5"),
}  # fmt: skip
PROMPT = "two red circles move left over a plain grey ground"


def settings(frames, side, **changes):
    return SamplingDefaults(**{"shift": 5, "steps": 2, "guidance_scale": 3, "fps": 8, "frames": frames, "height": side, "width": side, **changes})  # fmt: skip


def held(module):
    return sum(one.nbytes for one in [*module.parameters(), *module.buffers()])


def on_meta(name):
    family, config = CONFIGS[name]
    kind = backbone_classes()[family]
    whole = kind.with_defaults(config)
    with torch.device("meta"):
        return kind(kind.build_module(whole), whole)


@pytest.mark.parametrize(
    ("name", "clips", "size"),
    [
        ("wan-t2v", 2, settings(9, 128)),
        pytest.param("wan-i2v", 1, settings(9, 128), marks=pytest.mark.slow),
        pytest.param("ltx-video", 1, settings(33, 512), marks=pytest.mark.slow),
        pytest.param("hunyuan-video", 1, settings(9, 128, guidance_scale=1), marks=pytest.mark.slow),
    ],
)
def test_counted_steps_of_sampling_take_what_real_ones_take(name, clips, size):
    counted = count_sampling(on_meta(name), size, torch.float32, clips, text_tokens=TOKENS)
    backbone = tiny(name)
    latents = backbone.latent_format.shape(size.frames, size.height, size.width)

    def told():
        constants = {key: torch.full((clips,), float(value)) for key, value in backbone.constants(size).items()}
        values = {
            key: torch.rand_like(value) for key, value in conditioning_of(backbone, latents, TOKENS, clips).items()
        }
        return values | constants

    negative = told() if size.guidance_scale != 1 else None
    velocity = guided_velocity(backbone.velocity, told(), negative, size.guidance_scale)
    noise = torch.randn(clips, *latents)

    def run():
        sample(velocity, noise, torch.tensor([1.0, 0.5, 0.0]))

    with FlopCounterMode(display=False) as operations:
        run()
    assert counted.activations == pytest.approx(allocated(run), rel=CLOSE)
    assert 2 * counted.step == operations.get_total_flops()


@pytest.mark.parametrize("way", ["encode", "decode"])
@pytest.mark.parametrize(
    "name", ["wan21", *(pytest.param(other, marks=pytest.mark.slow) for other in TINY_VAES if other != "wan21")]
)
def test_a_counted_way_through_a_vae_takes_what_the_real_one_takes(name, way):
    real = TINY_VAES[name]()
    frames, side = 17, 128
    with torch.device("meta"):
        empty: VAE = type(real)(type(real).build_module(dict(real.module.config)))
    counted = count_vae(empty, (frames, side, side), way)
    latents = real.latent_format.shape(frames, side, side)
    given = torch.rand(1, *((3, frames, side, side) if way == "encode" else latents))

    def run():
        with torch.no_grad():
            getattr(real, way)(given)

    assert counted.activations == pytest.approx(allocated(run, CONVOLUTIONS), rel=CLOSE)


@pytest.mark.parametrize("guided", [False, True], ids=["plain", "guided"])
def test_the_micro_models_clip_takes_what_was_counted(tmp_path, guided):
    config = Config(
        prompts=tmp_path / "p.txt", output=tmp_path / "o", dtype="float32", sampling={"steps": 2},
        guidance={"latent_reward": "micro" if guided else None},
    )  # fmt: skip
    counted = count_model(config)
    pipeline = load_pipeline("micro", device="cpu")
    reward = load_latent_reward(EMBEDDED_LATENT_FILE) if guided else None

    def climbing(conditioning):
        def hook(x, sigma, velocity):
            with torch.enable_grad():
                leaf = x.detach().requires_grad_(True)
                (gradient,) = torch.autograd.grad(reward.rewards(leaf, sigma, conditioning).sum(), leaf)
            return velocity + gradient

        return hook

    def run():
        list(
            generate(
                pipeline.backbone, pipeline.vae, pipeline.text_encoder, [PROMPT], [0], counted.settings, guidance=climbing if guided else None
            )
        )  # fmt: skip

    run()
    assert counted.activations == pytest.approx(allocated(run), rel=CLOSE)
    assert counted.sampled.weights == held(pipeline.backbone.module)
    if guided:
        assert counted.sampled.reward == held(reward)
        described = describe_latent_reward(EMBEDDED_LATENT_FILE)
        assert {n: p.shape for n, p in described.named_parameters()} == {
            n: p.shape for n, p in reward.named_parameters()
        }


def test_the_operations_of_a_run_are_those_of_its_clips(tmp_path):
    config = Config(prompts=tmp_path / "p.txt", output=tmp_path / "o", sampling={"steps": 3})
    clips = [Wanted(str(number), PROMPT, number) for number in range(4)]
    model = count_model(config)
    plan = plan_generate(config, clips)
    assert plan.operations == pytest.approx(4 * (3 * model.step + model.decoded.operations))
    doubled = count_model(
        config.model_copy(update={"sampling": config.sampling.model_copy(update={"guidance_scale": 1})})
    )
    assert model.step == pytest.approx(
        2 * doubled.step
    )  # the micro model has guidance by default: two evaluations a step


@pytest.mark.parametrize(
    "command",
    [
        ["generate", "--dry-run"],
        ["plan", "align"],
        *(pytest.param(["plan", name], marks=pytest.mark.slow) for name in ("generate", "search")),
    ],
)
def test_a_plan_writes_nothing(tmp_path, capsys, command):
    prompts = tmp_path / "prompts.jsonl"
    rows = [
        {"prompt": f"two {colour} circles move left over a plain grey ground"} for colour in ("red", "green", "blue")
    ]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main([*command, str(prompts), "--output", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "counted" in told and "estimate" in told and "RTX 3060 12 GB" in told
    assert not (tmp_path / "out").exists()
