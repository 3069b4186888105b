"""A judge of clips in ComfyUI's hands: what travels along a REWARD wire."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import is_out_of_memory
from ..reward.judge import Judge, Marks, Prepared
from .comfy_compat import model_management
from .whole_model_patcher import WholeModelPatcher

if TYPE_CHECKING:
    import torch

    from ..clips.frames import SampledFrames, View
    from ..judges import JudgeOptions


class RewardHandle:
    """A judge whose weights ComfyUI's memory manager moves to the GPU for scoring, and away when others need the room.

    Args:
        name: what people call it.
        judge: with its weights on the device where they wait.
        load_device: where it scores.

    Attributes:
        name, judge: as given.
        patchers: the memory manager's hold on each of its modules; none for a judge without weights.
    """

    def __init__(self, name: str, judge: Judge, load_device: torch.device) -> None:
        self.name = name
        self.judge = judge
        self.patchers = [
            WholeModelPatcher(module, load_device, offload_device=next(module.parameters()).device)
            for module in judge.modules
        ]

    @classmethod
    def load(cls, name: str, path: Path, dtype: torch.dtype | None, on_cpu: bool) -> RewardHandle:
        """Read a VideoReward; its weights go to the GPU when they are first used.

        Args:
            dtype: arithmetic; what the device that scores is fast in when None.
            on_cpu: never use the GPU.

        Raises:
            CheckpointError: the file or folder cannot be used.
        """
        import torch

        from ..judges.videoreward import told_its_domain
        from ..reward.loading import load_video_reward

        load_device, offload_device = _devices(on_cpu)
        with torch.inference_mode(False):
            reward = load_video_reward(path, dtype=dtype or "auto", device=offload_device, compute_device=load_device)
        return cls(name, told_its_domain(reward, path), load_device)

    @classmethod
    def open(cls, judge: str, source: Path | None, options: JudgeOptions, on_cpu: bool) -> RewardHandle:
        """Open any judge; its weights, if it has some, go to the GPU when they are first used.

        Args:
            judge: its name.
            source: file or folder of what it needs.
            options: how; the device is set here.
            on_cpu: never use the GPU.

        Raises:
            JudgeError: it cannot be opened like this.
            CheckpointError: its weights cannot be used.
        """
        from dataclasses import replace

        import torch

        from ..judges import open_judge

        load_device, offload_device = _devices(on_cpu)
        text = judge if source is None else f"{judge}:{source}"
        with torch.inference_mode(False):
            opened = open_judge(text, replace(options, device=str(offload_device), compute_device=str(load_device)))
        return cls(opened.title if source is None else f"{opened.title} ({source.name})", opened, load_device)

    def make_room(self, clips: Sequence[Prepared]) -> None:
        """Have its weights where it scores, and memory for the largest of these clips beside them."""
        if self.patchers:
            memory = max(self.judge.working_memory(clip) for clip in clips)
            model_management.load_models_gpu(self.patchers, memory_required=memory, force_full_load=True)

    def score(
        self, source: object, caption: str | None, also: View | None = None
    ) -> tuple[Marks, SampledFrames | None]:
        """Judge one clip, after making room for it. The clip is read once.

        Args:
            source: a path, a binary file object, or ``Frames``.
            also: what somebody else wants to see of the clip, read in the same pass.

        Returns:
            the marks, and what ``also`` asked for.

        Raises:
            ClipError, CaptionError: it cannot be judged.
            torch.OutOfMemoryError: it does not fit beside the model; ComfyUI answers by unloading everything.
        """
        from ..clips.clip_fault import reading
        from ..clips.frames import read_for_several
        from ..reward.panel import seats_of

        self.judge.check_caption(caption)
        others = [also] if also else []
        with reading(source if isinstance(source, (str, Path)) else getattr(source, "name", "The clip")):
            if seats_of(self.judge)[0].reads_views:
                frames, *seen = read_for_several(source, [self.judge.view, *others])
                prepared = self.judge.prepare_frames(frames)
            else:  # it knows clips by their files, say
                prepared = self.judge.prepare(source)
                seen = read_for_several(source, others) if others else []
        try:
            self.make_room([prepared])
            return self.judge.score_prepared([prepared], [(caption,)])[0][0], seen[0] if seen else None
        except Exception as error:
            import torch

            if not is_out_of_memory(error):
                raise
            # Of this kind whatever the device called it, so that ComfyUI unloads all models after it.
            raise torch.OutOfMemoryError(f"{self.judge.described(prepared)}: {error}") from error


def _devices(on_cpu: bool) -> tuple[torch.device, torch.device]:
    """Where a judge scores, and where its weights wait."""
    import torch

    if on_cpu:
        return torch.device("cpu"), torch.device("cpu")
    return model_management.get_torch_device(), model_management.unet_offload_device()
