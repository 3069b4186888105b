"""Sampling with particles: several latents of one clip, judged on the way by a latent reward, of which the better go on.

``rgrp.py`` is LatSearch's reward-guided resampling and pruning (arXiv 2603.14526): a search, deterministic steps, few particles that
soon become one. ``feynman_kac.py`` is Feynman-Kac steering (arXiv 2501.06848): all particles go to the end, and their weights are right for
a density that is tilted by the reward. Plain torch; no ComfyUI, no diffusers.
"""
