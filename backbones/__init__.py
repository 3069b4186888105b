"""Video diffusion models as this project sees them: networks, VAEs, text encoders and a plain sampler."""
