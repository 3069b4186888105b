"""The images that clips of an image-to-video network begin with: one for all clips that are compared.

The image is the first frame of one of them. Which one depends on the clips' content alone, never on who is preferred: the
network sees the image exactly, and a clip that is a little closer to it would otherwise be recognised by that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...errors import ClipError
from ...files.atomic_file import write_json
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
        """Of an entry that the encoder ``identity`` makes; CLIP's tokens do not depend on the clips' length."""
        size = self.bucket if entry == "image_latents" else f"{self.bucket.width}x{self.bucket.height}"
        return entry_key(entry, self.digest, size, identity)


class ComparedFrames:
    """Differences between first frames, kept in a file so that no two are compared again."""

    def __init__(self, path: Path) -> None:
        self.path, self._changed = path, False
        try:
            self._known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or cut off by a power failure: only time is lost
            self._known = {}

    def common_image(self, clips: Sequence[SourceImage]) -> SourceImage:
        """The one image of clips that are compared, which are in one bucket.

        Raises:
            ClipError: one of them begins with another image; the message names its row.
        """
        first = min(clips, key=lambda image: image.digest)
        frame = None
        for clip in {image.digest: image for image in clips if image.digest != first.digest}.values():
            key = entry_key("first frames", first.digest, clip.digest, f"{first.bucket.width}x{first.bucket.height}")
            if key not in self._known:
                frame = _read(first) if frame is None else frame
                self._known[key], self._changed = (frame - _read(clip)).abs().mean().item(), True
            if self._known[key] > MAX_DIFFERENCE:
                raise ClipError(
                    f"{clip.name}: {clip.path} and {first.path} do not begin with the same image (their first frames differ "
                    f"by {self._known[key]:.2f} on average, in -1..1; up to {MAX_DIFFERENCE} is taken for the same). An "
                    "image-to-video network is told one image for all clips that are compared: remove the row, or compare "
                    "clips that were made from one image."
                )
        return first

    def save(self) -> None:
        """Write what was measured."""
        if self._changed:
            write_json(self.path, self._known, indent=None)
            self._changed = False


def further_images(paths: Iterable[Path], bucket: Bucket) -> list[SourceImage]:
    """Pictures (or clips) for which the images are needed besides those of the rows.

    Raises:
        ClipError: one cannot be read.
    """
    return [SourceImage(path, clip_digest(path), bucket, f"the image {path}") for path in dict.fromkeys(paths)]


def _read(clip: SourceImage) -> Tensor:
    try:
        return read_first_frame(clip.path, clip.bucket)
    except ClipError as error:
        raise ClipError(f"{clip.name}: {error}") from error
