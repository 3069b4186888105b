"""How the embedded micro video model is made: a VAE and a rectified-flow DiT in the Wan 2.1 format."""
