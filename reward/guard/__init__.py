"""Whether a model that a reward likes better has become better, or has learnt to please the reward."""
