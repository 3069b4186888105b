"""Save Scores and Load Scores."""

from __future__ import annotations

from pathlib import Path

from ..errors import VideoAlignError
from ..files.digests import content_fingerprint
from .comfy_compat import CATEGORY, ScoresSocket, folder_paths, io
from .node_pictures import shown_clip
from .score_file import append_scores, read_scores, score_path

_DEFAULT_NAME = "videoalign/scores.csv"


def _output_file(filename: str) -> Path:
    return score_path(filename, Path(folder_paths.get_output_directory()))


def _existing_file(filename: str) -> Path:
    """In the output folder, where Save Scores writes, or in the input folder."""
    saved = _output_file(filename)
    given = score_path(filename, Path(folder_paths.get_input_directory()))
    if saved.is_file() or not given.is_file():
        return saved
    return given


class SaveScores(io.ComfyNode):
    """Appends scores to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
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
        return _complaint(filename)

    @classmethod
    def execute(cls, scores, filename: str) -> io.NodeOutput:
        """Append."""
        path = _output_file(filename)
        rows = append_scores(path, scores)
        saved = {"filename": filename, "added": len(scores), "rows": rows}
        return io.NodeOutput(scores, str(path), ui={"videoalign_saved": [saved]})


class LoadScores(io.ComfyNode):
    """Reads scores from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="VideoAlignLoadScores",
            display_name="Load Scores",
            category=CATEGORY,
            description="Reads scores that Save Scores or `videoalign score` wrote. They can be ranked; the clips are not in the file.",
            inputs=[
                io.String.Input(
                    "filename",
                    default=_DEFAULT_NAME,
                    tooltip="A .csv or .jsonl file inside ComfyUI's output folder, or else inside its input folder.",
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
        return _complaint(filename)

    @classmethod
    def fingerprint_inputs(cls, filename: str) -> str:
        """The file's content: rows may have been added."""
        path = _existing_file(filename)
        return content_fingerprint(path) if path.is_file() else "missing"

    @classmethod
    def execute(cls, filename: str) -> io.NodeOutput:
        """Read."""
        scores = read_scores(_existing_file(filename))
        return io.NodeOutput(scores, len(scores), ui={"videoalign_scores": [shown_clip(row) for row in scores]})


def _complaint(filename: str | None) -> bool | str:
    try:
        if filename is not None:
            _output_file(filename)
    except VideoAlignError as error:
        return str(error)
    return True
