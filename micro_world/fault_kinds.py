"""The names of the ways in which a clip can be spoilt; what they do is in ``faults.py``."""

VISUAL_FAULTS = ("noise", "blur", "fade", "blocks")
MOTION_FAULTS = ("jitter", "teleport", "freeze", "surge", "slow", "flicker")
