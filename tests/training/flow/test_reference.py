"""A training from a LoRA is held to that LoRA: the reference is where it began."""

import math

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import tiny_loop, tiny_task
from tiny_wan import noised, tiny_wan

from videoalign.training.flow.adapter import as_reference
from videoalign.training.flow.config import LoraOptions
from videoalign.training.flow.lora_files import export, lora_file
from videoalign.training.flow.run import begun, with_begun_reference
from videoalign.training.loop.log_file import read_log
from videoalign.training.loop.state_files import newest_state


def first_line(config):
    return read_log(config.output / "log.jsonl")[0]


@pytest.mark.parametrize("backward", ["split", "joint"])
def test_from_a_lora_the_first_step_is_ln_2_and_nothing_has_drifted(options, train, style, backward):
    config = options(max_steps=1, lora={"start": style}, dpo={"backward": backward})
    train(config)
    line = first_line(config)
    assert line["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (line["accuracy"], line["drift"], line["winner_error"]) == (0.5, 0, 0)


def test_held_to_the_base_model_the_lora_itself_is_measured_as_drift(options, train, style):
    config = options(max_steps=1, lora={"start": style, "reference": "base"})
    train(config)
    assert first_line(config)["drift"] > 1e-3


def test_the_reference_is_the_network_with_the_lora_and_stays_so_while_the_adapter_moves(style):
    plain, started = tiny_wan(False), tiny_wan(LoraOptions(rank=4, alpha=8, start=style, targets="attention+ffn"))
    batch = noised(1)
    given = batch.noisy("chosen"), batch.sigma, batch.conditioning
    with torch.no_grad():
        expected = started.velocity(*given)
        assert (expected - plain.velocity(*given)).abs().max() > 1e-3
        for parameter in started.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
        with as_reference(started.module):
            assert torch.equal(started.velocity(*given), expected)
        assert (started.velocity(*given) - expected).abs().max() > 1e-3
    trained = {name for name, parameter in started.module.named_parameters() if parameter.requires_grad}
    assert trained and all(".default." in name for name in trained)


def test_the_lora_that_is_saved_is_one_file_that_has_the_start_in_it(options, style):
    task = tiny_task(options(max_steps=2, lora={"start": style}))
    loop = tiny_loop(task)
    loop.run()
    written = load_file(export(task, lora_file(task.config), loop.step, {}))
    assert written.keys() == load_file(style).keys()
    before = load_file(style)["diffusion_model.blocks.0.self_attn.q.lora_B.weight"]
    after = written["diffusion_model.blocks.0.self_attn.q.lora_B.weight"].float()
    assert 0 < (after - before).abs().max() < 0.02 + before.abs().max() / 256  # two steps of 0.001, and bfloat16


def test_a_run_that_was_stopped_goes_on_bit_for_bit_from_the_same_reference(options, train, style):
    whole, parts = (options(name, lora={"start": style}, max_steps=4) for name in ("whole", "parts"))
    train(whole)
    train(parts, steps=2)
    train(parts)
    ours, expected = (newest_state(config.output / "checkpoints")["weights"] for config in (parts, whole))
    assert ours.keys() == expected.keys() and not any("reference" in name for name in ours)
    assert all(torch.equal(ours[name], value) for name, value in expected.items())


def test_a_run_that_0_1_0_began_is_held_to_the_base_model_to_its_end(options, train, style, capsys):
    first = options(lora={"start": style, "reference": "base"}, max_steps=4)  # the fingerprint that 0.1.0 computed
    train(first, steps=2)
    asked = options(lora={"start": style}, max_steps=4)
    resumed = with_begun_reference(asked, begun(asked))
    assert resumed.lora.reference == "base" and "goes on so" in capsys.readouterr().err
    train(resumed)
    other = options("other", lora={"start": style})
    assert with_begun_reference(other, begun(other)).lora.reference == "start"


def test_a_start_that_is_not_finite_is_named_before_anything_is_trained(options, tmp_path, style):
    from safetensors.torch import save_file

    broken = load_file(style)
    broken["diffusion_model.blocks.1.self_attn.k.lora_A.weight"][0, 0] = torch.nan
    save_file(broken, tmp_path / "broken.safetensors")
    with pytest.raises(Exception, match=r"broken\.safetensors.*blocks\.1\.(attn1\.to_k|self_attn\.k).*not finite"):
        tiny_task(options(lora={"start": tmp_path / "broken.safetensors"}))
