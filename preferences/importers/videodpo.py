"""VideoDPO's pair.json (CIntellifusion/VideoDPO): video1 is preferred to video2, both by number in metadata.json.

    pair.json       [{"video1": 3, "video2": 0, "frame_caption": ["..."], "score": 0.31}, ...]
    metadata.json   [{"basic": {"clip_path": "clip_0.mp4", "clip_duration": 2.0}, ...}, ...]   in the same folder

The numbers count only clips of at least `clip_length` seconds, since VideoDPO's own loader drops shorter ones before it
numbers them. `score` is the share of pairs with this difference in OmniScore; VideoDPO weighs a pair by
(0.72 / score)^beta. The preference is automatic and on the whole clip: it becomes the Overall label.
"""

from __future__ import annotations

import math
from pathlib import Path

from ...errors import PreferenceFileError
from ...files.tables import Row, read_table, shown
from ..preference_file import Preferences, Source, pair_of_sides

SCORE_OF_WEIGHT_ONE = 0.72


def _clips(folder: Path, clip_length: float) -> list[str]:
    path = folder / "metadata.json"
    if not path.is_file():
        raise PreferenceFileError(
            f"{path}: not found. VideoDPO's pair.json numbers the clips of metadata.json beside it."
        )
    clips = []
    for row in read_table(path, ("basic",)):
        basic = row.value("basic")
        if not isinstance(basic, dict) or not isinstance(basic.get("clip_path"), str):
            raise row.error("basic", f"found {shown(basic)}; expected an object with the text 'clip_path'.")
        duration = basic.get("clip_duration", clip_length)
        if isinstance(duration, bool) or not isinstance(duration, int | float) or not math.isfinite(duration):
            raise row.error("basic.clip_duration", f"found {shown(duration)}; expected seconds.")
        if duration >= clip_length:
            clips.append(basic["clip_path"])
    return clips


def _clip(row: Row, column: str, clips: list[str]) -> str:
    number = row.integer_in(column)
    if number is None or not 0 <= number < len(clips):
        raise row.error(
            column,
            f"found {shown(row.value(column))}; expected a clip's number in metadata.json, 0 to {len(clips) - 1}.",
        )
    return clips[number]


def read_videodpo(
    path: Path, root: Path | None = None, *, clip_length: float = 1.0, weight_beta: float = 0.0
) -> Preferences:
    """Pairs of a pair.json with the metadata.json beside it.

    `clip_length`: seconds below which clips are not numbered (1, as VideoDPO's loader). `weight_beta`: the exponent of
    the weight (0.72 / score)^beta; 0 weighs all pairs 1; pairs without a score count as score 1, as in VideoDPO.
    """
    path = Path(path)
    table = read_table(path, ("video1", "video2", "frame_caption", "score"))
    table.require(("video1", "video2", "frame_caption"))
    clips = _clips(path.parent, clip_length)
    pairs = []
    for row in table:
        caption = row.value("frame_caption")
        if isinstance(caption, list) and caption:
            caption = caption[0]
        if not isinstance(caption, str):
            raise row.error("frame_caption", f"found {shown(caption)}; expected text or a list of texts.")
        score = row.number_in("score") if "score" in row.cells else None
        if score is not None and score <= 0:
            raise row.error("score", f"found {score}; expected a share above 0.")
        pairs.append(
            pair_of_sides(
                _clip(row, "video1", clips),
                _clip(row, "video2", clips),
                {"Overall": "A"},
                prompt=caption,
                weight=(SCORE_OF_WEIGHT_ONE / (1.0 if score is None else score)) ** weight_beta,
                source=Source(format="videodpo", row=row.number, columns={} if score is None else {"score": score}),
            )
        )
    rows = [row.number for row in table]
    return Preferences(pairs, Path(root or path.parent), path, "videodpo", rows)
