"""Judging takes that are not finished, as ``ScoredClip``: a REWARD sees the decoded clean clip, a LATENT_REWARD the noisy latent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ClipError, VideoAlignError
from ..reward.dimensions import DIMENSIONS, MEANING
from ..reward.judge import Dimension
from .clip_files import playable_file
from .clip_frames import small_pictures, small_view
from .comfy_compat import model_management, video_from_file
from .content_key import content_key
from .nested_latents import told_shapes, video_part
from .reward_conditioning import check_conditioning, chosen_cond, reward_conditioning
from .sampling_path import FLOW, check_fits, path_of
from .scored_clip import ScoredClip

if TYPE_CHECKING:
    from ..reward.search.seed_search import Marks
    from .guider_watch import Seen
    from .latent_reward_handle import LatentRewardHandle
    from .reward_caption import RewardCaption
    from .reward_handle import RewardHandle
    from .seed_takes import SeedTake

LATENT_JUDGE = "latent-reward"


class TakePreview:
    """The decoded clean clip of a take.

    Args:
        vae: VAE.
        latent_frames: decode only the first so many latent frames; all of them where 0.
        fps: frames per second of the clips.
    """

    def __init__(self, vae: Any, latent_frames: int, fps: float) -> None:
        self.vae, self.latent_frames, self.fps = vae, latent_frames, fps

    def key(self) -> str:
        """Of all that a preview depends on but the take."""
        return content_key(self.vae, self.latent_frames, self.fps)

    def frames(self, seen: Seen, name: str):
        """``Frames`` of a take; of one with sound, of its video.

        Raises:
            ClipError: what was sampled is not finite.
        """
        from ..clips.frames import Frames

        clean = video_part(seen.clean)
        if not clean.isfinite().all():
            raise ClipError(f"{name}: what was sampled is not finite (NaN or infinite).")
        if self.latent_frames and clean.ndim == 5:
            clean = clean[:, :, : self.latent_frames]
        model_management.throw_exception_if_processing_interrupted()
        pictures = self.vae.decode(clean)
        return Frames(pictures.reshape(-1, *pictures.shape[-3:])[..., :3].clamp(0, 1), self.fps, name)


class PreviewMarks:
    """A REWARD, shown the preview of a take."""

    def __init__(self, handle: RewardHandle, preview: TakePreview) -> None:
        self.handle, self.preview = handle, preview

    def key(self) -> str:
        """Of all that marks depend on but take and prompt."""
        return content_key(self.handle.name, self.handle.judge.identity(), self.preview.key())

    def marks(self, take: SeedTake, prompt: str) -> tuple[Marks, ScoredClip]:
        """See ``reward.search.seed_search.Marking``."""
        import torch

        frames = self.preview.frames(take.seen, f"seed {take.seed}")
        take.seen = None  # what it holds on the GPU
        try:
            marks, small = self.handle.score(frames, prompt or None, also=small_view())
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(
                f"Search Seeds ran out of memory while seed {take.seed} was judged. Choose device cpu where the judge is loaded, or "
                f"lower preview_frames. ({error})"
            ) from error
        clip = ScoredClip.of(
            marks,
            self.handle.judge,
            "clip",
            model=self.handle.name,
            seed=take.seed,
            clip=video_from_file(playable_file(frames)),
            frames=small_pictures(small),
        )
        return clip.scores, clip


class LatentMarks:
    """A LATENT_REWARD, shown the noisy latent of a take; the preview, if there is one, is for people.

    Args:
        model: MODEL that samples.
        caption: what the reward is told of the prompt; None for what the sampler is told.
    """

    def __init__(
        self, handle: LatentRewardHandle, model: Any, preview: TakePreview | None, caption: RewardCaption | None = None
    ) -> None:
        check_fits(handle.name, handle.latent_space, model.model.latent_format)
        self.handle, self.preview, self.caption = handle, preview, caption

    def key(self) -> str:
        """See ``PreviewMarks``."""
        told = self.caption.identity if self.caption else None
        return content_key(self.handle.serial, self.preview.key() if self.preview else None, told)

    def marks(self, take: SeedTake, prompt: str) -> tuple[Marks, ScoredClip]:
        """See ``PreviewMarks``."""
        import torch

        from ..backbones.given_frames import with_clean

        seen, name = take.seen, f"seed {take.seed}"
        if seen.asked is None or seen.conds is None:
            raise VideoAlignError(
                "This GUIDER does not tell what its model is asked, so a latent reward cannot judge its takes. Connect a REWARD and a VAE."
            )
        cond = chosen_cond(seen.conds, seen.asked[1])
        trunk = self.handle.reward.trunk
        conds = cond["model_conds"] if self.caption is None else self.caption.instead_of(cond["model_conds"])
        told = reward_conditioning(trunk.name, conds, 1)
        check_conditioning(self.handle.name, trunk, told, self.caption is not None)
        shapes, sigma = told_shapes(cond["model_conds"]), seen.sigma
        x = with_clean(video_part(seen.noisy(), shapes), video_part(seen.asked[0], shapes), told)
        if path_of(seen.sampling) != FLOW:
            x, sigma = x / (1 + sigma), sigma / (1 + sigma)
        with torch.no_grad():
            values = self.handle.rewards(x, torch.full((1,), sigma, device=x.device), told)[0].tolist()
        clip = _clip_of(dict(zip(DIMENSIONS, values, strict=True)), self.handle, take.seed, prompt)
        if self.preview is not None:
            from ..clips.frames import read_frames

            frames = self.preview.frames(seen, name)
            small = small_pictures(read_frames(frames, small_view()))
            clip = replace(
                clip,
                clip=video_from_file(playable_file(frames)),
                frames=small,
                fps=frames.fps,
                total_frames=len(frames.pixels),
            )
        take.seen = None
        return clip.scores, clip


def _clip_of(values: dict[str, float], handle: LatentRewardHandle, seed: int, prompt: str) -> ScoredClip:
    calibration = handle.calibration
    if (
        calibration is not None
    ):  # in standard deviations of the clips that it was measured on, as Reward Trace shows them
        values = {
            name: (value - calibration.mean[name]) / (calibration.std[name] or 1.0) for name, value in values.items()
        }
    return ScoredClip(
        values,
        "clip",
        prompt=prompt or None,
        model=handle.name,
        judge=LATENT_JUDGE,
        dimensions=tuple(Dimension(name, f"{MEANING[name]}, by the latent reward", "") for name in DIMENSIONS),
        seed=seed,
    )
