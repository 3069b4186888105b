"""Flow-NRG: steering the sampling of a rectified-flow model by the gradient of a reward (no ComfyUI, no diffusers).

Paper: "Improving Video Generation with Human Feedback" (arXiv 2501.13918), section 4.3 and Eq. 11 = 22.
"""
