"""Load Latent Reward Model."""

from __future__ import annotations

from ..errors import CheckpointError
from ..files.digests import content_fingerprint
from .comfy_compat import CATEGORY, LatentRewardSocket, folder_paths, io, node_schema
from .latent_reward_models import EMBEDDED_NAME, FOLDER, latent_reward_names, latent_reward_path
from .wired_choices import check_choices

_DTYPES = ("auto", "float32", "bfloat16", "float16")
_DEVICES = ("default", "cpu")


def _path(name: str):
    return latent_reward_path(name, folder_paths.get_folder_paths(FOLDER))


class LoadLatentReward(io.ComfyNode):
    """Reads a latent reward model and hands it to ComfyUI's memory manager."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["reward model", "noise-aware", "LRM"],
            node_id="VideoAlignLoadLatentReward",
            display_name="Load Latent Reward Model",
            category=CATEGORY,
            description=(
                "Loads a model that judges a clip while it is still noise: visual quality, motion quality, text alignment of a "
                "latent. It steers the sampler in Reward Guidance. Files lie in ComfyUI/models/latent_reward_models; make one "
                "with: videoalign train latent-reward. Nothing is downloaded."
            ),
            inputs=[
                io.Combo.Input(
                    "model",
                    options=latent_reward_names(folder_paths.get_folder_paths(FOLDER)),
                    tooltip=(
                        "A file in models/latent_reward_models, trained for the video model's latents (Wan 2.1 14B and both Wan "
                        f"2.2 A14B experts share one). '{EMBEDDED_NAME}' comes with the pack and is for the micro model."
                    ),
                ),
                io.Combo.Input(
                    "dtype",
                    options=list(_DTYPES),
                    default="auto",
                    tooltip="Arithmetic. auto: bfloat16 on a GPU, float32 on a CPU. float16 can lose small gradients.",
                ),
                io.Combo.Input(
                    "device",
                    options=list(_DEVICES),
                    default="default",
                    tooltip="default: ComfyUI's device. cpu: leave the GPU to the video model; guidance is much slower.",
                ),
            ],
            outputs=[
                LatentRewardSocket.Output(
                    "latent_reward", display_name="LATENT_REWARD", tooltip="For Reward Guidance (Flow-NRG)."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, model: str | None) -> bool | str:
        """Say in this node's own words when the model is gone; a name that comes by wire is not known yet.

        It takes ``model`` alone: ComfyUI attaches a complaint to each argument that this function has.
        """
        try:
            if model is not None:
                _path(model)
        except CheckpointError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model: str | None, **_) -> str:
        """The checkpoint's content: the same name with other weights is another model."""
        return "" if model is None else content_fingerprint(_path(model))

    @classmethod
    def execute(cls, model: str, dtype: str, device: str) -> io.NodeOutput:
        """Read it."""
        check_choices(("dtype", dtype, _DTYPES), ("device", device, _DEVICES))
        from ..reward.loading import DTYPES
        from .latent_reward_handle import LatentRewardHandle

        handle = LatentRewardHandle.load(model, _path(model), DTYPES.get(dtype), on_cpu=device == "cpu")
        return io.NodeOutput(handle)
