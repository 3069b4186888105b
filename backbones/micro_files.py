"""The micro video model's files, which come with the package; their folders are those of ComfyUI's models."""

from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded"
MICRO_NETWORK = EMBEDDED / "diffusion_models" / "micro_wan.safetensors"
MICRO_VAE = EMBEDDED / "vae" / "micro_wan_vae.safetensors"
MICRO_LORA = EMBEDDED / "loras" / "micro_wan_dpo_lora.safetensors"
