"""LoRA files: what ComfyUI's stock loader applies completely (``writing``), and what can be continued from (``reading``)."""
