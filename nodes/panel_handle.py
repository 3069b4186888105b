"""Several judges on one REWARD wire: a panel whose judges' weights come and go one after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..clips.clip_fault import reading, too_large
from ..errors import VideoAlignError, is_out_of_memory
from ..reward.panel import Panel, Seat
from .comfy_compat import model_management
from .reward_handle import RewardHandle

if TYPE_CHECKING:
    from ..clips.frames import SampledFrames, View
    from ..reward.judge import Marks, Prepared
    from ..reward.scoring_stream import Request

    Window = list[tuple[Request, Prepared | VideoAlignError]]
    Answers = list[Sequence[Marks | VideoAlignError]]


class HeldPanel(Panel):
    """A panel that makes room for each judge when its turn comes, so that the largest alone must fit.

    A judge that does not fit is asked once more after ComfyUI has let go of all models. Then it refuses the clip, and the others'
    marks stand.
    """

    def __init__(self, handles: Sequence[RewardHandle]) -> None:
        super().__init__([handle.judge for handle in handles])
        self._handles = {seat.name: handle for seat, handle in zip(self.seats, handles, strict=True)}

    def answers(self, seat: Seat, window: Window) -> Answers:
        """See ``Panel``."""
        answers = self._with_room(seat, window)
        if any(_too_large(answer) for some in answers for answer in some):
            model_management.unload_all_models()
            model_management.soft_empty_cache()
            answers = self._with_room(seat, window)
        return answers

    def _with_room(self, seat: Seat, window: Window) -> Answers:
        sound = [clip for _, clip in window if not isinstance(clip, VideoAlignError)]
        try:
            if sound:
                self._handles[seat.name].make_room(sound)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            fault = too_large(window[0][0].clip, error)
            fault.__cause__ = error
            return [[fault] * len(request.captions) for request, _ in window]
        return super().answers(seat, window)


class PanelHandle:
    """What ``RewardHandle`` is to one judge. A panel among the judges gives its own judges.

    Args:
        handles: at least one; the first one's VQ, MQ, TA and Overall keep their bare names.

    Attributes:
        name: what people call it.
        judge: the panel.
        members: its judges.
        patchers: the memory manager's hold on the modules of all.
    """

    def __init__(self, handles: Sequence[RewardHandle | PanelHandle]) -> None:
        self.members: tuple[RewardHandle, ...] = tuple(
            member for handle in handles for member in getattr(handle, "members", (handle,))
        )
        self.name = " + ".join(member.name for member in self.members)
        self.judge = HeldPanel(self.members)
        self.patchers = [patcher for member in self.members for patcher in member.patchers]

    def score(
        self, source: object, caption: str | None, also: View | None = None
    ) -> tuple[Marks, SampledFrames | None]:
        """Judge one clip, read once for all; see ``RewardHandle``. A judge that refuses it has no marks, and the cause is told.

        Raises:
            ClipError, CaptionError: no judge can judge it.
        """
        self.judge.check_caption(caption)
        with reading(source if isinstance(source, (str, Path)) else getattr(source, "name", "The clip")):
            clip, seen = self.judge.prepare_beside(source, [also] if also else [])
        (marks,) = self.judge.score_prepared([clip], [(caption,)])[0]
        return marks, seen[0] if seen else None


def _too_large(answer: Marks | VideoAlignError) -> bool:
    return isinstance(answer, VideoAlignError) and answer.__cause__ is not None and is_out_of_memory(answer.__cause__)
