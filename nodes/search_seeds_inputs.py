"""The inputs of Search Seeds."""

from __future__ import annotations

from .comfy_compat import (
    LatentRewardSocket,
    RewardSocket,
    RulesSocket,
    WeightsSocket,
    io,
    sampler_names,
    scheduler_names,
)

REPLAY, CONTINUE = "replay", "continue"  # of seed_takes, which takes torch; a test holds them together
CALIBRATE = "calibrate"
_STEPLESS = ("dpm_fast", "dpm_adaptive")
_MOST = 0xFFFFFFFFFFFFFFFF


def search_inputs() -> list:
    """Wires first, then what is sampled, then how is searched; those that are seldom needed last."""
    return [*_wires(), *_sampling(), *_search(), *_optional_wires()]


def _wires() -> list:
    return [
        io.MultiType.Input(
            "model",
            [io.Model, io.Guider],
            tooltip=(
                "The MODEL that would go into KSampler; with two experts the high-noise one. Or the GUIDER that would go into "
                "SamplerCustomAdvanced, which brings conditioning and cfg."
            ),
        ),
        io.Latent.Input(
            "latent_image",
            tooltip="As for KSampler: one clip, batch_size 1. Image-to-video works: it is in the conditioning.",
        ),
        io.MultiType.Input(
            "judge",
            [RewardSocket, LatentRewardSocket],
            tooltip=(
                "Who looks at the takes: a REWARD (a video reward, a judge, Measurements, or several as a Panel) sees the decoded preview. A "
                "LATENT_REWARD sees the noisy latent, and nothing need be decoded."
            ),
        ),
        io.Conditioning.Input("positive", optional=True, tooltip="As for KSampler; not needed with a GUIDER."),
        io.Conditioning.Input("negative", optional=True, tooltip="As for KSampler; not needed with a GUIDER."),
        io.Vae.Input(
            "vae",
            optional=True,
            tooltip=(
                "Decodes the previews. A small decoder is enough and fast: Load VAE lists those of models/vae_approx (taehv, lighttaew2_1 and the like). "
                "With the model's own VAE lower preview_frames."
            ),
        ),
    ]


def _sampling() -> list:
    return [
        io.String.Input(
            "caption",
            multiline=True,
            default="",
            placeholder="what the clip should show (empty: VQ and MQ only)",
            tooltip="The prompt that the takes are judged against. Empty: TA and Overall do not exist, VQ and MQ do.",
        ),
        io.Int.Input(
            "first_seed",
            default=0,
            min=0,
            max=_MOST,
            control_after_generate=True,
            tooltip="The first of the seeds; the others follow it. 'fixed' lets you raise seeds without sampling the first ones again.",
        ),
        io.Int.Input(
            "seeds", default=8, min=1, max=256, tooltip="How many takes there are, those of keep_seeds included."
        ),
        io.Int.Input("steps", default=20, min=1, max=10000, tooltip="As for KSampler; not used with SIGMAS."),
        io.Float.Input(
            "cfg", default=5.0, min=0.0, max=100.0, step=0.1, tooltip="As for KSampler; not used with a GUIDER."
        ),
        io.Combo.Input(
            "sampler_name",
            options=[name for name in sampler_names() if name not in _STEPLESS],
            default="euler",
            tooltip="As for KSampler, without those that choose their steps by themselves; not used with SAMPLER.",
        ),
        io.Combo.Input(
            "scheduler", options=scheduler_names(), default="simple", tooltip="As for KSampler; not used with SIGMAS."
        ),
        io.Float.Input(
            "denoise", default=1.0, min=0.0, max=1.0, step=0.01, tooltip="As for KSampler; not used with SIGMAS."
        ),
    ]


def _search() -> list:
    return [
        io.Int.Input(
            "look_after",
            default=0,
            min=0,
            max=10000,
            tooltip="Takes are judged after so many steps. 0: a quarter of all. Later looks tell more and cost more; all steps are best of N.",
        ),
        io.Int.Input("keep", default=1, min=1, max=256, tooltip="How many clips are finished."),
        io.Combo.Input(
            "mode",
            options=[REPLAY, CONTINUE, CALIBRATE],
            default=REPLAY,
            tooltip=(
                "replay: the best are sampled again from their seeds, number for number as KSampler samples them. continue: they go on from where "
                "they were looked at, which saves those steps. Then euler, ddim, heun and dpm_2 differ by rounding; dpmpp_2m, uni_pc, res_multistep, deis "
                "and the like by some hundredths of a standard deviation in 8 steps; and the seed alone does not give the clip again. "
                "Samplers that add noise are refused. calibrate: all takes are finished, and the report tells how much of the gain each look keeps; "
                "run it for ten prompts or more."
            ),
        ),
        io.Float.Input(
            "fps",
            default=16.0,
            min=0.1,
            max=1000.0,
            step=0.01,
            tooltip="Frames per second of the clip (Wan 16, HunyuanVideo and LTX 24). A wrong value changes the marks.",
        ),
        io.Int.Input(
            "preview_frames",
            default=0,
            min=0,
            max=10000,
            tooltip="Latent frames of a preview that are decoded, from the start; one is four frames of Wan. 0: all.",
        ),
        io.String.Input(
            "more_looks",
            default="",
            tooltip="Further looks, as '8, 12': after each the field shrinks by the same share, until keep are left. Empty: one look.",
        ),
        io.String.Input(
            "stop_when",
            default="",
            tooltip="A take that passes all of these at the first look ends the drafting, as 'VQ > 1, TA > 0.5'. Empty: all seeds are drafted.",
        ),
        io.Int.Input(
            "budget",
            default=0,
            min=0,
            max=10_000_000,
            tooltip="Most model evaluations; as many seeds are drafted as it allows. A step is one (heun and the like: two). 0: no limit.",
        ),
        io.String.Input(
            "keep_seeds",
            default="",
            tooltip="Seeds that stay in the running beside new ones: write a take's seed here, change first_seed, and the rest is rolled again.",
        ),
        io.String.Input("exclude_seeds", default="", tooltip="Seeds that are passed over, with commas between."),
        io.String.Input(
            "use_this",
            optional=True,
            default="",
            tooltip="Your own choice in place of the winner: the button 'use this one' below writes it here. Run again, and that take is finished.",
        ),
        io.Int.Input(
            "switch_step",
            optional=True,
            default=0,
            min=0,
            max=10000,
            tooltip="From this step on low_noise samples, as start_at_step of the second KSampler (Advanced).",
        ),
        io.Float.Input(
            "budget_seconds",
            optional=True,
            default=0.0,
            min=0.0,
            max=1_000_000.0,
            step=1.0,
            tooltip="Most seconds for one prompt, besides making ready: the second take is timed, and as many seeds are drafted as these allow. 0: no limit.",
        ),
    ]


def _optional_wires() -> list:
    return [
        WeightsSocket.Input(
            "weights", optional=True, tooltip="From Reward Weights. Without it VQ 0.1 : MQ 0.1 : TA 0.8."
        ),
        RulesSocket.Input(
            "rules", optional=True, tooltip="From Ranking Rules: weights of any marks, and gates that a take must pass."
        ),
        io.Sampler.Input("sampler", optional=True, tooltip="A SAMPLER in the place of sampler_name."),
        io.Sigmas.Input("sigmas", optional=True, tooltip="SIGMAS in the place of scheduler, steps and denoise."),
        io.MultiType.Input(
            "low_noise",
            [io.Model, io.Guider],
            optional=True,
            tooltip="Wan 2.2's low-noise expert, as MODEL or GUIDER; it samples from switch_step on.",
        ),
        io.Clip.Input(
            "clip",
            optional=True,
            tooltip="Only for a LATENT_REWARD whose text encoder is not the sampler's: the CLIP that it was trained with, which encodes caption.",
        ),
    ]
