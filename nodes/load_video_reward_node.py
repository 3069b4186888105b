"""Load Video Reward Model."""

from __future__ import annotations

from ..errors import CheckpointError
from ..files.digests import content_fingerprint
from .comfy_compat import CATEGORY, RewardSocket, folder_paths, io, node_schema
from .reward_models import EMBEDDED_NAME, FOLDER, reward_model_names, reward_model_path
from .wired_choices import check_choices

_DTYPES = ("auto", "float32", "bfloat16", "float16")
_DEVICES = ("default", "cpu")


def _path(name: str):
    return reward_model_path(name, folder_paths.get_folder_paths(FOLDER))


class LoadVideoReward(io.ComfyNode):
    """Reads a VideoReward checkpoint and hands it to ComfyUI's memory manager."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["videoreward", "reward model", "aesthetic", "judge", "quality model"],
            node_id="VideoAlignLoadVideoReward",
            display_name="Load Video Reward Model",
            category=CATEGORY,
            description=(
                "Loads a model that scores videos as people would: visual quality, motion quality, text alignment. It lies in "
                "ComfyUI/models/reward_models, as a converted .safetensors file or as a folder in VideoReward's official layout. "
                "Nothing is downloaded."
            ),
            inputs=[
                io.Combo.Input(
                    "model",
                    options=reward_model_names(folder_paths.get_folder_paths(FOLDER)),
                    tooltip=(
                        f"A file or folder in models/reward_models. '{EMBEDDED_NAME}' comes with the pack: it knows only the "
                        "64x64 clips of the micro world and is for trying the nodes out."
                    ),
                ),
                io.Combo.Input(
                    "dtype",
                    options=list(_DTYPES),
                    default="auto",
                    tooltip="Arithmetic. auto: the checkpoint's own (bfloat16 for VideoReward), float32 where the device has no bfloat16. float32 takes twice the memory.",
                ),
                io.Combo.Input(
                    "device",
                    options=list(_DEVICES),
                    default="default",
                    tooltip="default: ComfyUI's device. cpu: leave the GPU to the other models; scoring is slower.",
                ),
            ],
            outputs=[
                RewardSocket.Output(
                    "reward",
                    display_name="REWARD",
                    tooltip="The reward model, for Score Video. It moves to the GPU when used.",
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
        from .reward_handle import RewardHandle

        return io.NodeOutput(RewardHandle.load(model, _path(model), DTYPES.get(dtype), on_cpu=device == "cpu"))
