"""People's choices between two clips of one prompt: which pairs to show, in which order, and how a choice is kept.

`ChoiceSession` is all that a server needs; the ComfyUI node and ``videoalign choose`` put the same page in front of it.
"""
