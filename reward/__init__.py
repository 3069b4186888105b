"""What a clip is worth: VideoReward, preference losses and benchmark metrics (no ComfyUI imports here)."""
