"""Benchmarks of rewards: how often the scores of two clips agree with the people who compared them.

protocol.py        what VideoGen-RewardBench and GenAI-Bench compare, and at which size
pairs.py           the benchmark's pairs, sides A and B as in its file, and their distinct clips
known_scores.py    scores from a file instead of from a model
measure.py         accuracies by dimension and by group of pairs
output_files.py    the official script's files and agreement.json
report.py          the table for people
vbench_total.py    VBench's scores from its dimensions
"""
