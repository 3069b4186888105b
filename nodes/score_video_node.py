"""Score Video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ClipError
from ..reward.dimensions import RATED, SIGMA
from .clip_frames import small_pictures, small_view
from .clip_input import InputClip, frame_inputs, input_clips
from .comfy_compat import (
    CATEGORY,
    ExecutionBlocker,
    ProgressBar,
    RewardSocket,
    ScoresSocket,
    io,
    model_management,
    node_schema,
)
from .node_pictures import shown_clip
from .scored_clip import ScoredClip

if TYPE_CHECKING:
    from .reward_handle import RewardHandle

_UNIT = f"in {SIGMA}, standard deviations of the reward's training set; 0 is average, higher is better"


class ScoreVideo(io.ComfyNode):
    """What a clip is worth."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["rate", "evaluate", "aesthetic", "quality", "reward", "judge", "measure"],
            node_id="VideoAlignScoreVideo",
            display_name="Score Video",
            category=CATEGORY,
            description=(
                "Scores a clip: visual quality (VQ), motion quality (MQ) and, against a caption, text alignment (TA), "
                f"in {SIGMA}: standard "
                "deviations of the reward's training set, 0 is average. Another judge, or a Panel of several, gives its own marks, and reasons where it "
                "has some. Compare clips of one prompt, length and frame rate."
            ),
            inputs=[
                RewardSocket.Input(
                    "reward",
                    tooltip="From Load Video Reward Model, Load Judge or Measurements, or several of them as a Panel.",
                ),
                io.MultiType.Input(
                    "clip",
                    [io.Video, io.Image],
                    tooltip="A VIDEO, or the IMAGE frames of a clip. Frames straight from VAE Decode score without loss.",
                ),
                io.String.Input(
                    "caption",
                    multiline=True,
                    default="",
                    placeholder="what the clip should show (empty: VQ and MQ only)",
                    tooltip="The prompt that the clip is judged against. Empty: TA and Overall do not exist, VQ and MQ do.",
                ),
                *frame_inputs(
                    (
                        "Frames per second of IMAGE frames (Wan 16, HunyuanVideo and LTX 24). A wrong value changes the scores. A "
                        "VIDEO brings its own rate, and this one is not used."
                    ),
                    "How many clips of equal length the IMAGE frames hold: the batch size of the latents they come from.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The LATENT that the clip was decoded from. It travels with the scores to Pick Best of N.",
                ),
                io.Int.Input(
                    "seed",
                    optional=True,
                    force_input=True,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="The sampler's seed, to be shown and saved with the scores. It changes nothing else.",
                ),
            ],
            outputs=[
                ScoresSocket.Output(
                    "scores", display_name="SCORES", tooltip="Scores with their clips, for Pick Best and Save Scores."
                ),
                io.Float.Output("VQ", display_name="VQ", is_output_list=True, tooltip=f"Visual quality {_UNIT}."),
                io.Float.Output("MQ", display_name="MQ", is_output_list=True, tooltip=f"Motion quality {_UNIT}."),
                io.Float.Output(
                    "TA", display_name="TA", is_output_list=True, tooltip=f"Text alignment {_UNIT}. Needs a caption."
                ),
                io.Float.Output(
                    "Overall",
                    display_name="Overall",
                    is_output_list=True,
                    tooltip=f"VQ + MQ + TA, in {SIGMA}. Needs a caption.",
                ),
                io.Video.Output("video", display_name="video", is_output_list=True, tooltip="The clip, unchanged."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        reward,
        clip,
        caption: str,
        fps: float,
        clips_in_batch: int,
        latent: dict | None = None,
        seed: int | None = None,
    ) -> io.NodeOutput:
        """Score the clip, or each clip of a batch."""
        text = caption if caption.strip() else None
        bar = ProgressBar(clips_in_batch)
        scored = []
        for one in input_clips(clip, fps, clips_in_batch, latent):
            model_management.throw_exception_if_processing_interrupted()
            scored.append(_score(reward, one, text, seed))
            bar.update(1)
        columns = {name: _column(name, scored) for name in RATED}
        videos = [row.clip for row in scored]
        return io.NodeOutput(
            tuple(scored), *columns.values(), videos, ui={"videoalign_scores": [shown_clip(row) for row in scored]}
        )


def _column(name: str, scored: list[ScoredClip]) -> list | ExecutionBlocker:
    """The marks of one output, or why it gives none."""
    marks = [row.score(name) for row in scored]
    if None not in marks:
        return marks
    for row in scored:
        if cause := row.refusal(name):
            return ExecutionBlocker(f"{row.name} has no {name}: {cause}")
    if all(name in row.scores for row in scored):
        there = [one.name for one in scored[0].dimensions if scored[0].score(one.name) is not None]
        return ExecutionBlocker(
            f"{name} needs a caption: Score Video has none, so it scored {' and '.join(there)} only."
        )
    return ExecutionBlocker(f"The judge {scored[0].judge} gives no {name}; its marks are in SCORES.")


def _score(reward: RewardHandle, one: InputClip, caption: str | None, seed: int | None) -> ScoredClip:
    import torch

    try:
        marks, frames = reward.score(one.source, caption, also=small_view())
    except ClipError as error:
        if one.name in str(error):
            raise
        raise ClipError(f"{one.name}: {error}") from error
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"Score Video ran out of memory on {one.name}. Choose device cpu where the judge is loaded, or score a shorter clip. "
            f"({error})"
        ) from error
    return ScoredClip.of(
        marks,
        reward.judge,
        one.name,
        model=reward.name,
        seed=seed,
        path=one.path,
        clip=one.video,
        latent=one.latent,
        frames=small_pictures(frames),
    )
