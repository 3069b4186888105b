"""``python -m videoalign.micro.video FOLDER``: make the embedded micro video model again, from nothing."""

import sys
from pathlib import Path

from .recipe import make_video_model

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(
        "usage: python -m videoalign.micro.video FOLDER\n\n"
        "About two and a half hours on a CPU and 2 GB of disk; goes on where it was stopped."
    )
print(*make_video_model(Path(sys.argv[1])), sep="\n")
