"""Reward Guidance (Flow-NRG)."""

from __future__ import annotations

from ..errors import VideoAlignError
from ..guidance.settings import RAW, UNIT_FREE
from ..reward.weights import RewardWeights
from .comfy_compat import CATEGORY, ExecutionBlocker, LatentRewardSocket, TraceSocket, WeightsSocket, io, node_schema
from .reward_weights_node import weight_sliders

_MODES = {UNIT_FREE: UNIT_FREE, "raw (paper)": RAW}


class RewardGuidance(io.ComfyNode):
    """Steers a model's sampler along a latent reward."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["steer", "alignment", "preference", "NRG", "reward gradient", "aesthetic"],
            node_id="VideoAlignRewardGuidance",
            display_name="Reward Guidance (Flow-NRG)",
            category=CATEGORY,
            description=(
                "Steers the sampler towards clips that a latent reward model rates higher in visual quality (VQ), motion quality "
                "(MQ) and text alignment (TA). It goes between the model and any sampler. Strength 0 gives exactly the unguided "
                "clip and still records the rewards."
            ),
            inputs=[
                io.Model.Input(
                    "model", tooltip="The video model. With two experts (Wan 2.2 A14B): the high-noise one."
                ),
                LatentRewardSocket.Input(
                    "latent_reward", tooltip="From Load Latent Reward Model; trained for this model's latents."
                ),
                *weight_sliders(
                    "Weight of {}. Unit-free strength uses the proportion of the three, raw strength the values."
                ),
                io.Combo.Input(
                    "strength_mode",
                    options=list(_MODES),
                    default=UNIT_FREE,
                    tooltip=(
                        "unit-free: means the same for every latent reward model, and each dimension counts as its slider says. "
                        "raw (paper): the gradient as it is; the paper used strength 100."
                    ),
                ),
                io.Float.Input(
                    "strength",
                    default=0.3,
                    min=0.0,
                    max=100000.0,
                    step=0.01,
                    tooltip="0: no guidance. unit-free: 0.1 is gentle, 1 strong. raw: 100 in the paper, to be tuned for each reward.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Part of the sampling after which guidance begins. The very first step, pure noise, is always skipped.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Part of the sampling after which guidance ends; less is faster.",
                ),
                io.Float.Input(
                    "cap",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="No step moves the model's prediction by more than this share of it. 0: no limit, as in the paper.",
                ),
                io.Int.Input(
                    "every",
                    default=1,
                    min=1,
                    max=100,
                    tooltip=(
                        "Compute the gradient at every n-th noise level only, counted from the first one that each sampler guides, "
                        "and use it again between: about n times as fast, a little less exact."
                    ),
                ),
                io.Model.Input(
                    "model_low_noise",
                    optional=True,
                    tooltip="The low-noise expert of Wan 2.2 A14B, guided in the same run and recorded in the same trace.",
                ),
                WeightsSocket.Input(
                    "weights", optional=True, tooltip="From Reward Weights; used in place of the sliders."
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip=(
                        "The text encoder that the latent reward was trained with. Only for a model that shares its latents with the "
                        "reward but has another text encoder; together with caption."
                    ),
                ),
                io.String.Input(
                    "caption",
                    optional=True,
                    force_input=True,
                    tooltip="The prompt, for the latent reward alone; clip encodes it. Without clip the reward reads the sampler's conditioning.",
                ),
            ],
            outputs=[
                io.Model.Output("guided", display_name="MODEL", tooltip="The guided model, for any sampler."),
                io.Model.Output(
                    "guided_low_noise",
                    display_name="MODEL low noise",
                    tooltip="The guided low-noise expert, if there is one.",
                ),
                TraceSocket.Output(
                    "trace", display_name="TRACE", tooltip="For Reward Trace: the rewards over the steps."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model,
        latent_reward,
        VQ: float,  # noqa: N803 - the dimensions' names
        MQ: float,  # noqa: N803
        TA: float,  # noqa: N803
        strength_mode: str,
        strength: float,
        start_percent: float,
        end_percent: float,
        cap: float,
        every: int,
        model_low_noise=None,
        weights: RewardWeights | None = None,
        clip=None,
        caption: str | None = None,
    ) -> io.NodeOutput:
        """Hang the guidance on clones of the models."""
        from ..guidance.flow_nrg import FlowNRG
        from ..guidance.settings import GuidanceSettings
        from .guidance_trace import GuidanceTrace
        from .guided_model import Steering
        from .reward_caption import reward_caption
        from .trace_routes import LIVE

        if start_percent > end_percent:
            raise VideoAlignError(
                f"Guidance is to start at {start_percent:g} and end at {end_percent:g}; give start_percent the smaller value."
            )
        used = RewardWeights.of(VQ, MQ, TA) if weights is None else weights
        settings = GuidanceSettings(used.as_given(), strength, _MODES[strength_mode], cap=cap or None, every=every)
        guidance = FlowNRG(latent_reward.rewards, settings, latent_reward.calibration)
        told = reward_caption(clip, caption)
        steered_by = (latent_reward.serial, repr(settings), start_percent, end_percent, told and told.identity)
        node = str(cls.hidden.unique_id)
        trace = GuidanceTrace(node, latent_reward.name, settings, latent_reward.calibration, steered_by)
        steering = Steering(guidance, latent_reward, trace, LIVE, start_percent, end_percent, told)
        guided = steering.patched(model, "model")
        if model_low_noise is None:
            low_noise = ExecutionBlocker("Reward Guidance has no low-noise model: connect one to model_low_noise.")
        else:
            low_noise = steering.patched(model_low_noise, "model_low_noise")
        shown = {
            "as_given": used.as_given(),
            "normalised": used.normalised(),
            "preset": None,
            "by_wire": weights is not None,
        }
        return io.NodeOutput(guided, low_noise, trace, ui={"videoalign_weights": [shown]})
