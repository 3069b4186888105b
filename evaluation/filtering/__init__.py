"""Keeping the better clips of a scored set, for training on them.

score_file.py   the rows of a score file, and its columns by name
weights_by_column.py  how much each column counts: "VQ=0.5"
choosing.py     which rows are kept, and why the others are not
folder.py       the folder that is written: links or copies with captions, and what was made by which run
trainers.py     the data set files of musubi-tuner and diffusion-pipe
page.py         the page that shows what was dropped, and why
"""
