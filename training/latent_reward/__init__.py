"""Training of latent reward models from preference pairs: ``videoalign train latent-reward``."""
