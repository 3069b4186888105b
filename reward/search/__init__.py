"""Drafting many seeds, judging them early and finishing the best: the plan, its cost and the loop, whoever samples."""
