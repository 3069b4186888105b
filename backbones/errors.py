"""Errors of this layer. Their text names the thing, what was found, what was expected and what to do."""


class VideoAlignError(ValueError):
    """Base of the errors that this package raises on purpose; its text is meant to be shown as it is."""


class WeightsError(VideoAlignError):
    """A model's weights are missing, damaged, incomplete, or not of a family that is supported."""


class ClipSizeError(VideoAlignError):
    """A clip's size or number of frames does not fit the strides of a VAE."""


class PromptError(VideoAlignError):
    """A prompt that a text encoder cannot encode."""
