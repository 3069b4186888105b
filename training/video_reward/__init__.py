"""Training of VideoReward from preference pairs."""
