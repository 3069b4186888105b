"""Clips as files and frames: decoding, writing, previews. Knows no model."""
