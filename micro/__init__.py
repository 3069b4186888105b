"""The micro family: a small world of clips whose quality is known, and the models that were trained on it."""
