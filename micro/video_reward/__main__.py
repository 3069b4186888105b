"""``python -m videoalign.micro.video_reward FOLDER``: make the embedded micro reward again, from nothing."""

import sys
from pathlib import Path

from .recipe import make_reward

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(
        "usage: python -m videoalign.micro.video_reward FOLDER\n\nAbout an hour and a half on two CPU cores; goes on where it was stopped."
    )
print(make_reward(Path(sys.argv[1])))
