"""A training loop that knows neither the model nor the loss: order, optimisation, checkpoints, progress."""
