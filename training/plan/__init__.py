"""What a training will take; how it is counted and told is ``planning``'s."""
