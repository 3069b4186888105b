"""What a run's lines say."""

import re

from videoalign.training.loop.progress import Pace, line


def test_lines_of_training_and_of_held_out_pairs_differ_and_leave_out_details():
    numbers = {"loss": 0.69314, "accuracy": 0.5, "accuracy/0-0.2": 0.25}
    assert line("train", 2, 60, numbers) == "training step 2 of 60: loss 0.6931, accuracy 0.5"
    assert line("eval", 2, 60, numbers) == "HELD OUT step 2 of 60: loss 0.6931, accuracy 0.5"


def test_the_pace_is_told_from_the_first_step_of_this_process_on():
    pace = Pace(10)
    assert pace.told(10, 60) == ""
    said = pace.told(12, 60)
    assert re.match(r"[\d.e+-]+ s a step, 0:00:\d\d left", said)
    assert line("train", 12, 60, {"loss": 1.0}, said).endswith(f"loss 1 ({said})")
