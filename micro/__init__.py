"""How the micro family was made: the training of its video model, its VideoReward and its latent reward on the micro world."""
