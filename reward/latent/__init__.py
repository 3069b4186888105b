"""Latent reward models: VQ, MQ and TA of a noisy latent, differentiable, for guiding a sampler (paper, section 4.3)."""
