"""The embedded latent reward: what the micro model's noisy latents are worth, trained with the product's own command."""
