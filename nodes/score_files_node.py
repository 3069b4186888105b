"""Save Scores and Load Scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import VideoAlignError
from ..files.digests import content_fingerprint
from .comfy_compat import CATEGORY, ScoresSocket, folder_paths, io, node_schema
from .node_pictures import shown_clip
from .score_file import append_scores, read_scores, score_path
from .written_outputs import fingerprint, remember

_DEFAULT_NAME = "videoalign/scores.csv"


def _output_file(filename: str) -> Path:
    return score_path(filename, Path(folder_paths.get_output_directory()))


def _existing_file(filename: str) -> Path:
    """In the output folder, where Save Scores writes, or in the input folder; a full path may lead into either.

    Raises:
        VideoAlignError: the name leads out of both.
    """
    output, given = Path(folder_paths.get_output_directory()), Path(folder_paths.get_input_directory())
    if Path(filename.strip()).resolve().is_relative_to(given.resolve()) and Path(filename.strip()).is_absolute():
        return score_path(filename, given)
    saved = score_path(filename, output)
    if saved.is_file() or Path(filename.strip()).is_absolute():
        return saved
    found = score_path(filename, given)
    return found if found.is_file() else saved


class SaveScores(io.ComfyNode):
    """Appends scores to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["export", "csv", "jsonl", "log"],
            node_id="VideoAlignSaveScores",
            display_name="Save Scores",
            category=CATEGORY,
            description="Appends one row for each clip to a CSV or JSONL file: scores, prompt, seed, reward model, length, rate, file.",
            inputs=[
                ScoresSocket.Input("scores", tooltip="From Score Video or Pick Best of N."),
                io.String.Input(
                    "filename",
                    default=_DEFAULT_NAME,
                    tooltip="File inside ComfyUI's output folder; the ending, .csv or .jsonl, is the format. Rows are added at its end.",
                ),
            ],
            outputs=[
                ScoresSocket.Output("same_scores", display_name="SCORES", tooltip="The scores, unchanged."),
                io.String.Output("path", display_name="path", tooltip="The file's full path."),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename: str) -> bool | str:
        """Refuse a name that cannot be used before anything is scored."""
        return _complaint(filename, _output_file)

    @classmethod
    def fingerprint_inputs(cls, filename: str | None, **_) -> str:
        """A file that was deleted is written again."""
        return "" if filename is None else fingerprint(_output_file(filename))

    @classmethod
    def execute(cls, scores, filename: str) -> io.NodeOutput:
        """Append."""
        path = _output_file(filename)
        rows = append_scores(path, scores)
        remember(path)
        saved = {"filename": filename, "added": len(scores), "rows": rows}
        return io.NodeOutput(scores, str(path), ui={"videoalign_saved": [saved]})


class LoadScores(io.ComfyNode):
    """Reads scores from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["import", "csv", "jsonl"],
            node_id="VideoAlignLoadScores",
            display_name="Load Scores",
            category=CATEGORY,
            description="Reads scores that Save Scores or `videoalign score` wrote. They can be ranked; the clips are not in the file.",
            inputs=[
                io.String.Input(
                    "filename",
                    default=_DEFAULT_NAME,
                    tooltip=(
                        "A .csv or .jsonl file inside ComfyUI's output folder, or else inside its input folder; also a full path into "
                        "either, as Save Scores gives it."
                    ),
                )
            ],
            outputs=[
                ScoresSocket.Output(
                    "scores", display_name="SCORES", tooltip="Scores without their clips, for Pick Best of N."
                ),
                io.Int.Output("count", display_name="count", tooltip="How many clips the file has scores of."),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename: str) -> bool | str:
        """Refuse a name that cannot be used."""
        return _complaint(filename, _existing_file)

    @classmethod
    def fingerprint_inputs(cls, filename: str | None) -> str:
        """The file's content: rows may have been added."""
        if filename is None:  # by wire, not known yet; it is part of the fingerprint of what it comes from
            return ""
        path = _existing_file(filename)
        return content_fingerprint(path) if path.is_file() else "missing"

    @classmethod
    def execute(cls, filename: str) -> io.NodeOutput:
        """Read."""
        scores = read_scores(_existing_file(filename))
        return io.NodeOutput(scores, len(scores), ui={"videoalign_scores": [shown_clip(row) for row in scores]})


def _complaint(filename: str | None, resolve: Callable[[str], Path]) -> bool | str:
    try:
        if filename is not None:
            resolve(filename)
    except VideoAlignError as error:
        return str(error)
    return True
