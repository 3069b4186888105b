"""OpenCV, which the measurements need and nothing else in the package: an optional dependency."""

from __future__ import annotations

from types import ModuleType

from ..errors import VideoAlignError

INSTALL = "pip install opencv-python-headless"


class OpenCVMissing(VideoAlignError):  # noqa: N818 - reads as what happened
    """There is no OpenCV that can be used."""


def opencv() -> ModuleType:
    """The module cv2, of whichever of OpenCV's packages is installed: four of them have it.

    Raises:
        OpenCVMissing: none is, or it cannot be loaded or lacks optical flow.
    """
    try:
        import cv2
    except ImportError as error:  # a missing libGL among them, which the packages that are not headless need
        why = "" if isinstance(error, ModuleNotFoundError) else f" (its import failed: {error})"
        raise OpenCVMissing(
            f"The measurements need OpenCV, which is not there{why}. Any of its four packages serves (opencv-python, -headless, "
            f"-contrib, -contrib-headless); without one: {INSTALL}"
        ) from error
    if not hasattr(cv2, "DISOpticalFlow_create"):  # an empty folder cv2 left by an uninstalled package, or OpenCV 3
        raise OpenCVMissing(
            f"The cv2 at {getattr(cv2, '__file__', None) or 'an empty folder'} is no OpenCV of version 4 or later: two of its packages may "
            f"have overwritten each other. Uninstall all of them, then {INSTALL}"
        )
    return cv2
