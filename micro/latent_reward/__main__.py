"""``python -m videoalign.micro.latent_reward FOLDER``: make the embedded latent reward again, and its ablation."""

import sys
from pathlib import Path

from .recipe import Recipe, make_latent_rewards

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(
        "usage: python -m videoalign.micro.latent_reward FOLDER\n\n"
        "About an hour and a half on one CPU core; goes on where it was stopped."
    )
for file in make_latent_rewards(Path(sys.argv[1]), Recipe()):
    print(file)
