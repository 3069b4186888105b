"""A moving average of the adapter: against sums by hand, over a stop, and in what is judged and written."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_training import tiny_loop, tiny_task

from videoalign.lora.adapters import adapter_weights
from videoalign.training.flow.adapter import TRAINED
from videoalign.training.flow.lora_files import RAW, LoraFiles, lora_file, write_lora
from videoalign.training.loop.callback import Callback
from videoalign.training.loop.state_files import newest_state

DECAY = 0.6


class Steps(Callback):
    """The weights after every step, in float64, and what the evaluation saw."""

    def __init__(self, task):
        self.task, self.after, self.judged = task, [], {}

    def _weights(self):
        return {
            name: weight.detach().double().numpy()
            for name, weight in self.task.module.named_parameters()
            if weight.requires_grad
        }

    def stepped(self, run, say):
        self.after.append(self._weights())

    def evaluated(self, run, numbers, say):
        self.judged[run.step] = self._weights()


def by_hand(first, after):
    """With weights w_0, w_1, ..., w_n: each w_k counts (1 - d_k) times all later d, and w_0 what is left."""
    decays = [min(DECAY, number / (number + 9)) for number in range(1, len(after) + 1)]
    total = {name: np.prod(decays) * value for name, value in first.items()}
    for number, weights in enumerate(after):
        share = (1 - decays[number]) * np.prod(decays[number + 1 :])
        for name, value in weights.items():
            total[name] = total[name] + share * value
    return total


def close(found, expected):
    # six products and sums in float32 of numbers below 1: 6 * 2 * 2**-24
    return all(np.abs(found[name] - value).max() < 1e-6 for name, value in expected.items())


def test_the_average_is_that_of_the_steps_and_is_what_is_judged(options):
    task = tiny_task(options(ema=DECAY))
    steps = Steps(task)
    first = steps._weights()
    loop = tiny_loop(task, [steps])
    loop.run()
    assert len(steps.after) == 6
    expected = by_hand(first, steps.after)
    stored = newest_state(task.config.output / "checkpoints")
    average = {name: value.double().numpy() for name, value in stored["average"]["weights"].items()}
    assert close(average, expected) and stored["average"]["updates"] == 6
    assert close(steps.judged[6], expected) and not close(steps.after[-1], expected)
    own = steps._weights()  # and the network has its own again
    assert all(np.array_equal(own[name], value) for name, value in steps.after[-1].items())
    assert close(steps.judged[3], by_hand(first, steps.after[:3]))


def test_the_steps_are_those_of_a_run_without_it(options):
    plain, averaged = tiny_task(options("plain")), tiny_task(options("averaged", ema=DECAY))
    for task in (plain, averaged):
        tiny_loop(task).run()
    states = [newest_state(task.config.output / "checkpoints") for task in (plain, averaged)]
    assert all(torch.equal(states[1]["weights"][name], value) for name, value in states[0]["weights"].items())
    assert "average" not in states[0]


def test_a_run_that_is_stopped_and_goes_on_has_the_same_average_bit_for_bit(options):
    whole, parts = options("whole", ema=DECAY), options("parts", ema=DECAY)
    tiny_loop(tiny_task(whole)).run()
    with pytest.raises(KeyboardInterrupt):
        tiny_loop(tiny_task(parts), steps=3).run()
    tiny_loop(tiny_task(parts)).run()
    one, two = (newest_state(config.output / "checkpoints")["average"] for config in (whole, parts))
    assert one["updates"] == two["updates"]
    assert all(torch.equal(two["weights"][name], value) for name, value in one["weights"].items())


def test_a_run_does_not_go_on_with_another_decay(options):
    with pytest.raises(KeyboardInterrupt):
        tiny_loop(tiny_task(options(ema=DECAY)), steps=3).run()
    for other in (options(), options(ema=0.9)):
        with pytest.raises(Exception, match="another ema"):
            tiny_loop(tiny_task(other)).run()


def test_the_files_are_named_after_it_and_say_so(options, capsys):
    config = options(ema=DECAY, lora={"dtype": "float32"})
    task = tiny_task(config)
    loop = tiny_loop(task, [LoraFiles(task)])
    loop.run()
    raw = adapter_weights(task.backbone.module, TRAINED)
    write_lora(task, lora_file(config, RAW), 6, {}, None, raw, averaged=False)
    names = sorted(file.name for file in config.output.glob("*.safetensors"))
    assert names == ["lora_ema_best.safetensors", "lora_ema_newest.safetensors", "lora_raw.safetensors"]
    newest, last = load_file(lora_file(config, "newest")), load_file(lora_file(config, RAW))
    assert newest.keys() == last.keys() and any(not torch.equal(newest[key], last[key]) for key in newest)
    said = []
    for which in ("newest", RAW):
        with safe_open(lora_file(config, which), "pt") as file:
            said.append(json.dumps(file.metadata()))
    assert f"moving average, decay {DECAY}" in said[0] and "last step" in said[1]
    assert f"averaged weights, ema {DECAY}" in capsys.readouterr().err
