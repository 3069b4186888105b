"""The images that clips of an image-to-video network begin with: one for all clips that are compared.

The image is the first frame of one of them. Which one depends on the clips' content alone, never on who is preferred: the
network sees the image exactly, and a clip that is a little closer to it would otherwise be recognised by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...backbones.image_conditioning import FRAME_OF_ANY_CLIP
from ...clips.clip_fault import reading
from ...errors import ClipError
from ...files.remembered import RememberedFacts
from .buckets import Bucket
from .cache import entry_key
from .clip_pixels import clip_digest, read_first_frame

MAX_DIFFERENCE = 0.1
"""Mean absolute difference of two first frames, in -1..1, up to which they are one image. A VAE and a video codec between the
image and the clip change it by some hundredths; frames of different images differ by some tenths."""


@dataclass(frozen=True)
class SourceImage:
    """Where an image comes from: a picture, or the first frame of a clip.

    Attributes:
        path, digest: of the file, and of its content.
        bucket: the size that it is brought to, and the length of the clips that it is for.
        name: what error messages call the row that asked for it.
    """

    path: Path
    digest: str
    bucket: Bucket
    name: str

    def key(self, entry: str, identity: str) -> str:
        """Of an entry that the encoder ``identity`` makes."""
        size = f"{self.bucket.width}x{self.bucket.height}" if entry in FRAME_OF_ANY_CLIP else self.bucket
        return entry_key(entry, self.digest, size, identity)


class ComparedFrames:
    """Differences between first frames, kept in a file so that no two are compared again."""

    def __init__(self, path: Path) -> None:
        self._known = RememberedFacts(path)
        self.save = self._known.save

    def common_image(self, clips: Sequence[SourceImage]) -> SourceImage:
        """The one image of clips that are compared, which are in one bucket; ``faults`` says whether there is one."""
        return min(clips, key=lambda image: image.digest)

    def faults(self, clips: Sequence[SourceImage]) -> dict[Path, str]:
        """Those of some clips in one bucket that do not begin with the common image, with the cause; empty where all do."""
        first = self.common_image(clips)
        faults: dict[Path, str] = {}
        frame = None
        for clip in {image.digest: image for image in clips if image.digest != first.digest}.values():
            key = entry_key("first frames", first.digest, clip.digest, f"{first.bucket.width}x{first.bucket.height}")
            if key not in self._known:
                try:
                    with reading(first.path):
                        frame = read_first_frame(first.path, first.bucket) if frame is None else frame
                except ClipError as error:
                    return {first.path: str(error)}
                try:
                    with reading(clip.path):
                        self._known[key] = (frame - read_first_frame(clip.path, clip.bucket)).abs().mean().item()
                except ClipError as error:
                    faults[clip.path] = str(error)
                    continue
            difference = self._known.get(key)
            if difference > MAX_DIFFERENCE:
                faults[clip.path] = (
                    f"{clip.path} and {first.path} do not begin with the same image (their first frames differ "
                    f"by {difference:.2f} on average, in -1..1; up to {MAX_DIFFERENCE} is taken for the same). An "
                    "image-to-video network is told one image for all clips that are compared: remove the row, or compare "
                    "clips that were made from one image."
                )
        return faults


def further_images(paths: Iterable[Path], bucket: Bucket) -> list[SourceImage]:
    """Pictures (or clips) for which the images are needed besides those of the rows.

    Raises:
        ClipError: one cannot be read.
    """
    return [SourceImage(path, clip_digest(path), bucket, f"the image {path}") for path in dict.fromkeys(paths)]
