"""``videoalign convert``: one file that scores as the folder did."""


def test_the_converted_file_scores_exactly_as_the_folder(videoalign, score, checkpoint, small_clips, tmp_path):
    file = tmp_path / "models" / "tiny.safetensors"
    outcome = videoalign("convert", checkpoint, "--output", file)
    assert (outcome.status, outcome.out) == (0, "")
    assert "tensors" in outcome.err
    assert str(file) in outcome.err
    # In the file's type: the device may be faster in float32, in which the folder's merge is not rounded.
    arguments = (small_clips, "--prompt", "a cat", "--json", "--device", "cpu", "--dtype", "bfloat16")
    from_folder = videoalign("score", *arguments, "--model", checkpoint)
    from_file = videoalign("score", *arguments, "--model", file)
    assert from_file.status == 0
    assert len(from_file.rows) == 4 and from_file.rows == from_folder.rows


def test_a_conversion_in_float32_keeps_the_merge_exact(videoalign, score, checkpoint, small_clips, tmp_path):
    file = tmp_path / "tiny.safetensors"
    assert videoalign("convert", checkpoint, "--output", file, "--dtype", "float32").status == 0
    arguments = (small_clips, "--prompt", "a cat", "--json", "--dtype", "float32", "--device", "cpu")
    from_folder = videoalign("score", *arguments, "--model", checkpoint).rows
    assert videoalign("score", *arguments, "--model", file).rows == from_folder


def test_an_existing_file_is_replaced_only_when_allowed(videoalign, checkpoint, tmp_path):
    file = tmp_path / "tiny.safetensors"
    file.write_text("precious")
    refused = videoalign("convert", checkpoint, "--output", file)
    assert refused.status == 1
    assert "allow --overwrite" in refused.err
    assert file.read_text() == "precious"
    assert videoalign("convert", checkpoint, "--output", file, "--overwrite").status == 0
    assert file.stat().st_size > 100_000


def test_a_checkpoint_is_found_by_its_name_in_comfyuis_models_folder(videoalign, checkpoint, tmp_path, monkeypatch):
    models = tmp_path / "comfyui" / "models" / "reward_models"
    models.mkdir(parents=True)
    (models / "tiny").symlink_to(checkpoint, target_is_directory=True)
    (models / "base").symlink_to(checkpoint.parent / "base", target_is_directory=True)
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "comfyui"))
    monkeypatch.chdir(tmp_path)
    assert videoalign("convert", "tiny", "--output", "out.safetensors").status == 0
    assert (tmp_path / "out.safetensors").is_file()


def test_a_step_can_be_chosen_and_a_missing_one_is_named(videoalign, checkpoint, tmp_path):
    outcome = videoalign("convert", checkpoint, "--output", tmp_path / "x.safetensors", "--step", 5)
    assert outcome.status == 1
    assert "has no checkpoint-5; it has checkpoint-11352" in outcome.err


def test_what_cannot_be_converted_is_a_clear_error_and_leaves_nothing_behind(videoalign, checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, words in [
        ([tmp_path / "nowhere"], "No reward model at"),
        ([checkpoint.parent / "base"], "model_config.json is missing"),
        ([checkpoint, "--base", tmp_path / "nobase"], "does not exist"),
    ]:
        outcome = videoalign("convert", *arguments, "--output", tmp_path / "x.safetensors")
        assert (outcome.status, outcome.out) == (1, "")
        assert words in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_a_checkpoint_the_missing_argument_is_named(videoalign):
    outcome = videoalign("convert")
    assert outcome.status == 2
    assert "checkpoint: field required" in outcome.err
