"""The whole round from a file of prompts to a better model: generating, scoring, pairing, training, comparing."""
