"""VideoAlign: human-preference alignment for rectified-flow video models.

The repository root is this package (``videoalign``) and at the same time a ComfyUI custom node folder, so inside it
only relative imports are used. Importing it loads nothing heavy: torch and transformers come in where they are used.
"""

__version__ = "0.1.0"

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """ComfyUI calls this to get the pack's nodes."""
    from .nodes.extension import VideoAlignExtension

    return VideoAlignExtension()
