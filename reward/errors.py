"""Errors that a user can act on. Their text names the thing, what was found, what was expected and what to do."""


class VideoAlignError(ValueError):
    """Base of the errors that this package raises on purpose; its text is meant to be shown as it is."""


class ClipError(VideoAlignError):
    """A clip cannot be scored: unreadable, truncated, too short, not finite, or with an impossible frame rate."""


class CaptionError(VideoAlignError):
    """A caption cannot be scored: empty, not text, or too long for the model's context."""


class CheckpointError(VideoAlignError):
    """A reward checkpoint is missing, damaged, unsafe, or does not fit its own configuration."""
