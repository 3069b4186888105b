"""Which checkpoints a run goes on from."""

from pathlib import Path

import pytest

from videoalign.errors import TrainingStopped
from videoalign.training.loop.same_run import by_content, check_same_run

OURS = {"data": "paths-1", "rate": 0.1, "steps": 10}
CONTENTS = {"data": "content-1"}


def check(began, stored=None, ours=OURS, contents=CONTENTS):
    state = {"fingerprint": {**OURS, **began}, **({"contents": stored} if stored else {})}
    check_same_run(ours, contents, state, Path("checkpoints"))


def test_the_same_content_under_other_paths_goes_on():
    check({"data": "paths-2"}, {"data": "content-1"})


def test_other_content_under_the_same_paths_is_refused_and_said_so():
    with pytest.raises(TrainingStopped, match=r"another data \(there are other clips under the same names\)"):
        check({}, {"data": "content-2"})


def test_a_state_of_0_1_0_knows_paths_alone_which_then_decide():
    check({})
    with pytest.raises(TrainingStopped, match=r"another data\. "):
        check({"data": "paths-2"})


def test_what_has_no_content_has_to_be_the_same():
    with pytest.raises(TrainingStopped, match="another rate"):
        check({"rate": 0.2}, {"data": "content-1"})


def test_what_this_run_no_longer_has_is_another_run():
    with pytest.raises(TrainingStopped, match="another ema"):
        check({"ema": 0.9})


def test_a_run_can_be_made_longer_and_not_shorter():
    check({"steps": 4})
    with pytest.raises(TrainingStopped, match=r"a run of 20 steps, and 10 are asked for.*max_steps 20"):
        check({"steps": 20})


def test_files_and_folders_of_weights_stand_by_their_content_and_words_as_they_are(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, weights in ((one, b"weights"), (other, b"weights")):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights)
    names = ("vae", "text_encoder")
    section = {"vae": str(one), "text_encoder": "micro", "rank": 4}
    moved = by_content({**section, "vae": str(other)}, names)
    assert by_content(section, names) == moved and moved["text_encoder"] == "micro" and moved["rank"] == 4
    (other / "model.safetensors").write_bytes(b"changed")
    assert by_content({**section, "vae": str(other)}, names) != moved
    file = by_content({"vae": str(one / "model.safetensors")}, names)
    assert file["vae"] == moved["vae"]  # a folder of one file is that file
