"""``python -m videoalign.micro.video FOLDER``: make a micro video model of the embedded kind, from nothing or from one that was begun."""

import argparse
from pathlib import Path

from .recipe import begin_from, make_video_model

parser = argparse.ArgumentParser(
    prog="python -m videoalign.micro.video",
    description="Make a micro video model. About five hours of one CPU core and 2 GB of disk; goes on where it was stopped.",
)
parser.add_argument("folder", type=Path, help="keeps the states, and gets the files")
parser.add_argument(
    "--begin",
    nargs=3,
    metavar=("NETWORK", "VAE", "STEP"),
    help="begin with the files of a run whose states are lost, and the step that its network had reached",
)
options = parser.parse_args()
if options.begin:
    network, vae, step = options.begin
    begin_from(options.folder, Path(network), Path(vae), int(step))
print(*make_video_model(options.folder), sep="\n")
