"""Scoring runs: rows of clips and captions through a judge, resumable and shared by several processes."""
