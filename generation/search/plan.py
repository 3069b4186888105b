"""What a search takes: the steps of all takes, the previews that are decoded, and the clips that are finished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...backbones.vae_loading import describe_vae
from ...planning.encoding import count_vae
from ...planning.report import flop
from ...planning.run_plan import Part, RunPlan
from ...reward.search.plan import Plan, cost
from ..model_files import model_files
from ..plan import ModelCount, described_clip, sampling_ways, smaller_clips

if TYPE_CHECKING:
    from ..search_command import Config


def plan_search(config: Config, model: ModelCount, prompts: int, plan: Plan, drafted: int) -> RunPlan:
    """Reckon from a counted step. Nothing is loaded, sampled or written.

    Args:
        plan: (step, how many are kept after it) of each look.
        drafted: seeds of each prompt.

    Raises:
        WeightsError: the VAE cannot be used.
    """
    steps = cost(plan, drafted, model.settings.steps)
    alive = [drafted, *(kept for _, kept in plan)][: len(plan)]
    # A latent reward sees the noisy latent itself.
    previews = 0 if config.judge[0].startswith("latent") else sum(alive)
    operations = prompts * (
        steps * model.step + previews * _preview(config, model) + config.keep * model.decoded.operations
    )
    judges = sum(_file_size(judge) for judge in config.judge)
    looked = ", ".join(
        f"after step {step} at {count}, of which {kept} go on" for (step, kept), count in zip(plan, alive, strict=True)
    )
    return RunPlan(
        head=(
            f"{prompts} prompts, {drafted} seeds of each: looked at {looked}; {prompts * config.keep} clips are finished.",
            described_clip(model),
        ),
        at_once="1 take at a time",
        parts=(*model.parts, *([Part("judges", judges, "the size of their files; what they make of a clip is not counted")] if judges else [])),
        operations=operations,
        operations_said=(
            f"Operations: {steps} steps a prompt, {steps / model.settings.steps:.2f} of one clip's, at {flop(model.step)} (counted), and "
            f"{previews} previews; {flop(operations)} in all; captions and judging are left out.",
        ),
        ways=lambda: sampling_ways(config, model),
        smaller=lambda room: smaller_clips(model, room),
    )  # fmt: skip


def _preview(config: Config, model: ModelCount) -> float:
    """Operations of decoding what a look sees."""
    if config.preview_frames is None or config.preview_frames >= model.latents[1]:
        return model.decoded.operations
    vae = describe_vae(model_files(config.model, config.vae, config.text_encoder)[1])
    frames = vae.latent_format.frames(config.preview_frames)
    return count_vae(vae, (frames, model.settings.height, model.settings.width), "decode").operations


def _file_size(judge: str) -> int:
    """Of a judge's weights, where its source is a file or a folder of them."""
    path = Path(judge.partition(":")[2] or judge)
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*.safetensors"))
    return path.stat().st_size if path.is_file() else 0
