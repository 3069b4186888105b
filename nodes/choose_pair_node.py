"""Choose A or B."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import VideoAlignError
from .choice_clips import choice_folder, kept_clip
from .choice_routes import choice_session, preview_folder
from .choice_scores import given_clips, keep_scores, kept_as
from .clip_input import frame_inputs
from .comfy_compat import CATEGORY, ProgressBar, ScoresSocket, folder_paths, io, model_management, node_schema
from .written_outputs import fingerprint, remember

_DEFAULT_FOLDER = "videoalign/choices"
_TYPES = [ScoresSocket, io.Video, io.Image]


class ChoosePair(io.ComfyNode):
    """Which of two clips a person likes better."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        which = (
            "A VIDEO, or IMAGE frames of one clip or (clips_in_batch) several. Lists are welcome. Or SCORES, which bring their clips: "
            "the judge's marks and reasons are shown once you have chosen."
        )
        seed = "The sampler's seed, to be kept with the choice; clips of a batch count up from it."
        return node_schema(
            search_aliases=["preference", "compare", "vote", "annotate", "label", "human feedback", "arena"],
            node_id="VideoAlignChoosePair",
            display_name="Choose A or B",
            category=CATEGORY,
            description=(
                "Shows two clips of one prompt side by side, in random order and without names, and keeps which one a person likes "
                "better, for VQ, MQ, TA and overall. Every choice is appended at once to a preference file that videoalign train "
                "reads. Running the graph adds clips; choosing needs no run."
            ),
            inputs=[
                io.MultiType.Input("clip", _TYPES, optional=True, tooltip=f"Clips to choose between. {which}"),
                io.MultiType.Input(
                    "other_clip",
                    _TYPES,
                    optional=True,
                    tooltip=f"More clips of the same prompt: another seed, model or setting. {which}",
                ),
                io.Int.Input("seed", optional=True, force_input=True, min=0, max=0xFFFFFFFFFFFFFFFF, tooltip=seed),
                io.Int.Input(
                    "other_seed",
                    optional=True,
                    force_input=True,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip=f"Of other_clip. {seed}",
                ),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default="",
                    placeholder="what the clips should show",
                    tooltip="The prompt that the clips were made from. It is shown, and kept with the choice.",
                ),
                io.String.Input(
                    "model", default="", tooltip="Name of what made 'clip'; kept with the choice, never shown."
                ),
                io.String.Input(
                    "other_model", default="", tooltip="Name of what made 'other_clip'; empty: the same model."
                ),
                *frame_inputs(
                    "Frames per second of IMAGE frames (Wan 16, HunyuanVideo and LTX 24). A VIDEO brings its own rate.",
                    "How many clips of equal length IMAGE frames hold: the batch size of the latents they come from.",
                ),
                io.String.Input(
                    "folder",
                    default=_DEFAULT_FOLDER,
                    tooltip=(
                        "Folder inside ComfyUI's output folder for the clips (clips.jsonl lists them) and the choices "
                        "(choices.jsonl). Clips of earlier runs are shown as well. `videoalign choose` takes the same folder."
                    ),
                ),
                io.String.Input(
                    "chooser",
                    default="",
                    tooltip="Your name, if several people choose: each has a file, choices_NAME.jsonl; videoalign choose merge joins them.",
                ),
            ],
            outputs=[
                io.String.Output("path", display_name="path", tooltip="The preference file's full path."),
                io.Int.Output("count", display_name="count", tooltip="How many choices it has."),
            ],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, folder, chooser) -> bool | str:
        """Refuse a folder or a name that cannot be used before anything is sampled."""
        try:
            for name in folder or []:
                for person in chooser or [""]:
                    if name is not None and person is not None:
                        choice_session(name, person, folder_paths.get_output_directory())
        except VideoAlignError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder, chooser, **_) -> str:
        """The file's length: choices may have been added. And whether the clips that were kept are still there."""
        from ..clips.find import CLIP_LIST

        output = folder_paths.get_output_directory()
        try:
            file = choice_session(folder[0], chooser[0], output).file.path
            kept = fingerprint(choice_folder(folder[0], Path(output)) / CLIP_LIST)
            return f"{kept} {file.stat().st_size if file.is_file() else 0}"
        except (OSError, VideoAlignError, TypeError, IndexError):
            return ""

    @classmethod
    def execute(
        cls,
        prompt,
        model,
        other_model,
        fps,
        clips_in_batch,
        folder,
        chooser,
        clip=(),
        other_clip=(),
        seed=(),
        other_seed=(),
    ) -> io.NodeOutput:
        """Keep the clips; the page in the node asks for them itself."""
        from ..clips.find import CLIP_LIST
        from ..clips.preview import playable
        from ..files.portable_paths import relative_text
        from ..preferences.choices.candidates import Candidate, add_candidates
        from ..preferences.choices.judged import SCORE_FILES

        output = Path(folder_paths.get_output_directory())
        into = choice_folder(folder[0], output)
        sides = (
            (clip or (), seed or (), model),
            (
                other_clip or (),
                other_seed or (),
                [b or a for a, b in zip(model, _stretched(other_model, len(model)), strict=True)],
            ),
        )
        total = sum(len(clips) for clips, _, _ in sides)
        bar = ProgressBar(max(total, 1))
        made: dict[str, list[Candidate]] = {}
        judged = []
        for clips, seeds, models in sides:
            for index, one in enumerate(clips):
                if one is None:
                    continue
                written = _nth(prompt, index)
                first_seed = _nth(seeds, index)
                for number, (source, scored) in enumerate(
                    given_clips(one, _nth(fps, index), _nth(clips_in_batch, index))
                ):
                    model_management.throw_exception_if_processing_interrupted()
                    text = written if written.strip() or scored is None else scored.prompt or ""
                    if not text.strip():
                        raise VideoAlignError(
                            "Choose A or B needs the prompt of the clips: it is shown, and training needs it."
                        )
                    path, rate, frames = kept_clip(source, into / "clips", output)
                    playable(path, preview_folder())  # at hand before it is shown
                    seed_of_clip = None if first_seed is None else first_seed + number
                    if scored is not None:
                        judged.append(kept_as(scored, relative_text(path, into), text))
                        seed_of_clip = scored.seed if seed_of_clip is None else seed_of_clip
                    made.setdefault(text, []).append(
                        Candidate(
                            path,
                            text,
                            seed=seed_of_clip,
                            model=_nth(models, index) or None,
                            fps=rate,
                            num_frames=frames,
                        )
                    )
                bar.update(1)
        added = sum(add_candidates(into, _grouped(candidates)) for candidates in made.values())
        keep_scores(into / SCORE_FILES[0], judged)
        remember(into / CLIP_LIST)
        session = choice_session(folder[0], chooser[0], str(output))
        count = len(session.file.choices())
        shown = {"folder": folder[0], "chooser": chooser[0], "added": added, "chosen": count}
        return io.NodeOutput(str(session.file.path), count, ui={"videoalign_choices": [shown]})


def _grouped(candidates: list) -> list:
    """Clips of one prompt and one run are compared with one another; a clip that came alone, with others of its prompt."""
    from dataclasses import replace

    names = sorted({candidate.path.name for candidate in candidates})
    if len(names) < 2:
        return candidates
    group = hashlib.sha256("\0".join(names).encode()).hexdigest()[:12]
    return [replace(candidate, group=group) for candidate in candidates]


def _nth(values, index: int):
    """A value of a list; its last one goes on for ever, as ComfyUI does it. None of an empty list."""
    return values[min(index, len(values) - 1)] if len(values) else None


def _stretched(values, length: int) -> list:
    return [_nth(values, index) for index in range(length)]
