"""Errors that a user can act on. Their text names the thing, what was found, what was expected and what to do."""

from ..backbones.errors import VideoAlignError


class ClipError(VideoAlignError):
    """A clip cannot be scored: unreadable, truncated, too short, not finite, or with an impossible frame rate."""


class CaptionError(VideoAlignError):
    """A caption cannot be scored: empty, not text, or too long for the model's context."""


class CheckpointError(VideoAlignError):
    """A reward checkpoint is missing, damaged, unsafe, or does not fit its own configuration."""


class GuidanceError(VideoAlignError):
    """Guidance was asked for something impossible, or the reward that should steer gave no number."""
