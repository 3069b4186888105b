"""Compare Clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from .clip_files import clip_entry, playable_file, served_file
from .clip_input import frame_inputs, input_clips
from .comfy_compat import (
    CATEGORY,
    ProgressBar,
    ScoresSocket,
    growing_input,
    grown_values,
    io,
    model_management,
    node_schema,
)
from .scored_clip import ScoredClip

_TYPES = [ScoresSocket, io.Video, io.Image]


class CompareClips(io.ComfyNode):
    """Which of two settings makes the better clips, to be seen and in figures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        what = "SCORES from Score Video, or a VIDEO or IMAGE frames, which are shown without differences. Lists are welcome."
        further = SimpleNamespace(Input=lambda name, **about: io.MultiType.Input(name, _TYPES, **about))
        return node_schema(
            search_aliases=[
                "compare video",
                "wipe",
                "slider",
                "side by side",
                "before after",
                "ab",
                "difference",
                "which is better",
            ],
            node_id="VideoAlignCompareClips",
            display_name="Compare Clips",
            category=CATEGORY,
            description=(
                "Plays clips of two or more settings in step, side by side or under a wipe, and shows what their scores differ by: "
                "for each pair, and over all pairs as mean difference, pairs won, and whether these are too few to tell. Clips are "
                "paired by prompt and seed where these are known, else by position."
            ),
            inputs=[
                io.MultiType.Input("a", _TYPES, tooltip=f"The clips to compare with. {what}"),
                io.MultiType.Input("b", _TYPES, tooltip=f"The clips that may be better. {what}"),
                *growing_input(further, "further", "clips", f"Clips of one more setting. {what}"),
                io.String.Input("name_a", default="before", tooltip="What the clips of a are called."),
                io.String.Input("name_b", default="after", tooltip="What the clips of b are called."),
                io.String.Input(
                    "further_names",
                    default="",
                    tooltip="What the further clips are called, with commas between. Empty: C, D, …",
                ),
                *frame_inputs(
                    "Frames per second of IMAGE frames (Wan 16, HunyuanVideo and LTX 24). SCORES and VIDEO bring their own.",
                    "How many clips of equal length IMAGE frames hold: the batch size of the latents they come from.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "summary",
                    display_name="summary",
                    tooltip="The figures as text: mean differences, pairs won, and the verdict.",
                )
            ],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(cls, a, b, name_a, name_b, further_names, fps, clips_in_batch, **inputs) -> io.NodeOutput:
        """Pair the clips, and make files of them for the page."""
        from .clip_pairs import compared, named_sets, summary

        wires = [a, b, *grown_values("further", inputs)]
        told = [name.strip() for name in further_names[0].split(",")]
        names = [name_a[0], name_b[0], *(told[place] if place < len(told) else "" for place in range(len(wires) - 2))]
        sets = named_sets(names, [list(_clips(wire, fps[0], clips_in_batch[0])) for wire in wires])
        shown, groups = compared(sets)
        bar = ProgressBar(sum(len(group) for group in groups))
        for pair, group in zip(shown["pairs"], groups, strict=True):
            for entry, clip in zip(pair["clips"], group, strict=True):
                model_management.throw_exception_if_processing_interrupted()
                if clip is not None:
                    entry.update(_played(clip, fps[0]))
                bar.update(1)
        return io.NodeOutput(summary(shown), ui={"videoalign_comparison": [shown]})


def _clips(values: Sequence | None, fps: float, count: int) -> Iterator[ScoredClip]:
    """The clips of a wire, with their scores if it brings any."""
    for value in values or ():
        if value is None:
            continue
        if isinstance(value, (tuple, list)):
            yield from value
            continue
        is_frames = hasattr(value, "shape")
        for number, one in enumerate(input_clips(value, fps, count if is_frames else 1, None), start=1):
            name = f"clip {number} of {count}" if is_frames and count > 1 else one.name
            yield ScoredClip({}, name, path=one.path, clip=one.video, fps=fps if is_frames else None)


def _played(clip: ScoredClip, fps: float) -> dict:
    """``file``, what the page plays, and ``fps`` of it; nothing for scores from a file whose clip is not at hand."""
    from ..clips.preview import rate_and_length

    if clip.clip is not None:
        (one,) = input_clips(clip.clip, fps, 1, None)
        path = playable_file(one.source)
    else:
        path = served_file(clip.path) if clip.path else None
    return {} if path is None else {"file": clip_entry(path), "fps": rate_and_length(path)[0]}
