"""Load Judge, and Measurements."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from ..files.digests import content_fingerprint
from ..judges import JudgeError, JudgeOptions, judge_names
from .comfy_compat import CATEGORY, RewardSocket, folder_paths, io, node_schema
from .reward_models import FOLDER, judge_source_names, path_in
from .wired_choices import check_choices

NONE = "none"
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_FEWER_BITS = ("8bit", "4bit")
_DEVICES = ("default", "cpu")
_OUTPUT = "The judge, for Score Video or Panel. Weights move to the GPU when used."


def _judges() -> list[str]:
    return [name for name in judge_names() if name != "videoreward"]


def _precisions() -> list[str]:
    """Fewer bits only where judges can be opened with them."""
    return [*_DTYPES, *(_FEWER_BITS if "weights" in JudgeOptions.__dataclass_fields__ else ())]


def _path(model: str) -> Path | None:
    return None if model == NONE else path_in(folder_paths.get_folder_paths(FOLDER), model, "judge's model")


class LoadJudge(io.ComfyNode):
    """Opens any judge of clips and hands its weights to ComfyUI's memory manager."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["judge", "critic", "reward model", "quality model", "score model", "metric", "reasons"],
            node_id="VideoAlignLoadJudge",
            display_name="Load Judge",
            category=CATEGORY,
            description=(
                "Opens a judge of clips other than VideoReward: a model that gives marks and may say why, a measurement, or marks from "
                "a file. Its marks have names and units of their own. Nothing is downloaded."
            ),
            inputs=[
                io.Combo.Input(
                    "judge",
                    options=_judges(),
                    tooltip="Which judge. VideoReward has a loader of its own. Those of other packages that are registered are listed as well.",
                ),
                io.Combo.Input(
                    "model",
                    options=[NONE, *judge_source_names(folder_paths.get_folder_paths(FOLDER))],
                    default=NONE,
                    tooltip=(
                        "File or folder in models/reward_models with what the judge needs: weights, or a file of marks. none: for "
                        "judges that need nothing."
                    ),
                ),
                io.Combo.Input(
                    "precision",
                    options=_precisions(),
                    default="auto",
                    tooltip=(
                        "Arithmetic of the judge's weights, where it has some. auto: what the judge chooses. A choice that a judge does not "
                        "have is refused by it."
                    ),
                ),
                io.Combo.Input(
                    "device",
                    options=list(_DEVICES),
                    default="default",
                    tooltip="default: ComfyUI's device. cpu: leave the GPU to the other models; judging is slower.",
                ),
            ],
            outputs=[RewardSocket.Output("reward", display_name="REWARD", tooltip=_OUTPUT)],
        )

    @classmethod
    def validate_inputs(cls, model: str | None) -> bool | str:
        """Say in this node's own words when the model is gone; see Load Video Reward Model."""
        try:
            if model is not None:
                _path(model)
        except CheckpointError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model: str | None, **_) -> str:
        """The source's content: the same name with other weights is another judge."""
        path = None if model is None else _path(model)
        return "" if path is None else content_fingerprint(path)

    @classmethod
    def execute(cls, judge: str, model: str, precision: str, device: str) -> io.NodeOutput:
        """Open it."""
        check_choices(
            ("judge", judge, _judges()), ("precision", precision, _precisions()), ("device", device, _DEVICES)
        )
        from .reward_handle import RewardHandle

        few = {"weights": precision} if precision in _FEWER_BITS else {"dtype": precision}
        path = _path(model)
        try:
            return io.NodeOutput(RewardHandle.open(judge, path, JudgeOptions(**few), on_cpu=device == "cpu"))
        except JudgeError as error:
            if path is not None:
                raise
            folder = folder_paths.get_folder_paths(FOLDER)[0]
            raise JudgeError(
                f"{error} In ComfyUI what a judge needs is chosen as 'model': put it into {folder}, and press R."
            ) from error


class Measurements(io.ComfyNode):
    """The judge ``measures``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=[
                "motion",
                "flicker",
                "sharpness",
                "still frames",
                "cuts",
                "metric",
                "optical flow",
                "measure",
            ],
            node_id="VideoAlignMeasurements",
            display_name="Measurements",
            category=CATEGORY,
            description=(
                "What can be measured of any clip without a model: motion, flicker, standstill, sharpness, light, colour and cuts. "
                "Connect it to Panel, beside a reward: what a reward is fooled by, a measurement often sees. It needs OpenCV."
            ),
            inputs=[],
            outputs=[
                RewardSocket.Output("reward", display_name="REWARD", tooltip="The judge, for Score Video or Panel.")
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Open it."""
        from .reward_handle import RewardHandle

        try:
            return io.NodeOutput(RewardHandle.open("measures", None, JudgeOptions(), on_cpu=True))
        except JudgeError as error:
            raise JudgeError(
                f"{error} (in ComfyUI's own Python; it is what this pack's extra [measure] installs). Then start ComfyUI again."
            ) from error
