"""What judges say of clips, and how good judges and models are: scoring, benchmarks against people, comparisons of models."""
