"""The embedded default: a small VideoReward, trained on the micro world with the product's own training command."""
