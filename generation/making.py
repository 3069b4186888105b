"""Sampling clips so that one that fails is left out and the others are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..clips.clip_fault import reading, too_large
from ..errors import ClipError, FileError, VideoAlignError, is_out_of_memory
from .clip_folder import Wanted

if TYPE_CHECKING:
    from ..backbones.sampling import Fault, GeneratedClip

Sampler = Callable[[list[Wanted]], "Iterator[GeneratedClip]"]
"""Clips in the order of what is wanted, a batch at a time; it ends with the first error."""


def made_or_failed(
    sampler: Sampler, wanted: Sequence[Wanted], batch_size: int, cause: Callable[[Fault], str]
) -> Iterator[tuple[Wanted, GeneratedClip | VideoAlignError]]:
    """Each wanted clip, or why there is none: its prompt, its image, its guidance, its pixels or the memory that it takes.

    The clips of a batch that fails are sampled one by one, so that only those to blame are left out.

    Args:
        cause: what to say of a clip whose values are not finite, from what first gave such.
    """
    left = list(wanted)
    while left:
        done = 0
        try:
            for clip in sampler(left):
                yield left[done], _sound(clip, left[done], cause)
                done += 1
            return
        except FileError:
            raise
        except Exception as error:
            if not (isinstance(error, VideoAlignError) or is_out_of_memory(error)):
                raise
            failed, failure = left[done : done + batch_size], error
        if len(failed) == 1:
            sound = isinstance(failure, VideoAlignError)
            yield failed[0], failure if sound else too_large(f"The clip {failed[0].id}", failure)
        else:
            for one in failed:
                yield from made_or_failed(sampler, [one], 1, cause)
        left = left[done + len(failed) :]


def unreadable_images(clips: Sequence[Wanted]) -> dict[Path, str]:
    """Images of clips that cannot be decoded, and why: each is looked at before anything is sampled."""
    from ..training.latent_cache.buckets import Bucket
    from ..training.latent_cache.clip_pixels import read_first_frame

    causes = {}
    for image in dict.fromkeys(clip.image for clip in clips if clip.image is not None):
        try:
            with reading(image):
                read_first_frame(image, Bucket(16, 16, 1, 1))
        except ClipError as error:
            causes[image] = str(error)
    return causes


def _sound(clip: GeneratedClip, wanted: Wanted, cause: Callable[[Fault], str]) -> GeneratedClip | VideoAlignError:
    return clip if clip.fault is None else ClipError(f"The clip {wanted.id} is not written: {cause(clip.fault)}")
