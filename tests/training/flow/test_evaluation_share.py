"""What held-out evaluations take of a run: the network's passes are counted, not the time."""

import pytest
import torch

from videoalign.training.flow.config import EvaluationConfig
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.held_out import HeldOut
from videoalign.training.flow.methods import load_method
from videoalign.training.loop.evaluation_plan import SHARE
from videoalign.training.loop.log_file import read_log


@pytest.fixture
def passes(monkeypatch):
    """Clips through the network, one with a backward pass as three: in training, and in evaluations."""
    counted = {True: 0, False: 0}
    real = FlowModule.velocity

    def velocity(self, x_t, sigma, conditioning):
        counted[self.training] += len(x_t) * (3 if torch.is_grad_enabled() else 1)
        return real(self, x_t, sigma, conditioning)

    monkeypatch.setattr(FlowModule, "velocity", velocity)
    return counted


@pytest.fixture
def short(options, pairs):
    """A run of 24 steps of 4 of 40 pairs, a quarter held out; evaluations by default, or with ``evaluation``'s own values."""

    def build(output="run", method="dpo", evaluation=None, **changes):
        file = pairs(40, scores_chosen={"Overall": 2.0}, scores_rejected={"Overall": -2.0})
        config = options(
            output,
            method,
            max_steps=24,
            log_every=24,
            save_every=24,
            **{"eval_every": None, "data": {"train": [file]}, **changes},
        )
        return config.model_copy(update={"evaluation": EvaluationConfig(**(evaluation or {}))})

    return build


def evaluated(config):
    return [line["step"] for line in read_log(config.output / "log.jsonl") if line["kind"] == "eval"]


@pytest.mark.parametrize(("method", "row"), [("dpo", 8), ("sft", 3)])
def test_by_default_they_take_a_twentieth_at_most_and_are_at_the_beginning_and_the_end(
    method, row, short, train, passes, capsys
):
    config = short(method=method)
    task = train(config, load_method(method)(getattr(config, method)))
    assert passes[True] == 24 * 4 * row == 24 * 4 * task.method.passes
    steps = evaluated(config)
    assert 0 < passes[False] <= SHARE * passes[True] or len(task.held_out.rows) == 5
    assert (steps[0], steps[-1]) == (0, 24)
    told = f"Held-out evaluations: {len(steps)} (at the beginning"
    assert told in capsys.readouterr().err
    first = read_log(config.output / "log.jsonl")[0]
    assert (first["step"], first["accuracy"], first["margin"]) == (0, 0.5, 0.0)  # the adapter does nothing yet


def test_what_is_given_is_kept(short, train, passes):
    config = short(eval_every=12, evaluation={"levels": 3, "pairs": 7})
    train(config)
    assert evaluated(config) == [12, 24]
    assert passes[False] == 3 * 2 * 7 * 3  # the reference and two evaluations of both clips
    sized = short("sized", evaluation={"levels": 3, "pairs": 7})
    task = train(sized)
    assert (len(task.held_out.rows), task.held_out.levels) == (7, 3)
    assert evaluated(sized) == [0, 24]


def test_from_a_lora_that_is_held_to_the_base_model_the_beginning_is_run(short, train, style, passes):
    config = short(lora={"start": style, "reference": "base"})
    task = train(config)
    first = read_log(config.output / "log.jsonl")[0]
    assert first["step"] == 0 and first["margin"] != 0
    size = 2 * len(task.held_out.rows) * task.held_out.levels
    assert passes[False] == size * (1 + len(evaluated(config)))


def test_the_beginning_is_no_candidate_for_the_best_and_changes_nothing(short, train):
    often = short("often", eval_every=6)
    rare = short("rare")
    weights = []
    for config in (often, rare):
        task = train(config)
        weights.append([value.clone() for value in task.module.parameters() if value.requires_grad])
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))
    assert 0 in evaluated(rare)


class Rows:
    def __init__(self, number):
        self.number = number

    def __len__(self):
        return self.number


@pytest.mark.parametrize(
    ("passes", "pairs", "fixed", "size"),
    [
        (10_000, 64, (False, False), (64, 4)),
        (800, 64, (False, False), (64, 2)),  # fewer levels first
        (320, 64, (False, False), (26, 2)),  # then fewer pairs, as long as they can tell something
        (200, 64, (False, False), (33, 1)),
        (24, 64, (False, False), (6, 1)),  # one evaluation
        (5, 64, (False, False), (5, 1)),  # fewer say nothing at all
        (320, 10, (False, False), (10, 4)),
        (320, 64, (True, False), (64, 1)),
        (320, 64, (False, True), (13, 4)),
        (5, 64, (True, True), (64, 4)),
    ],
)
def test_a_short_run_has_fewer_levels_and_then_fewer_pairs(passes, pairs, fixed, size):
    held_out = HeldOut(Rows(pairs), 4, 64, 500.0, 5, 1)
    held_out.suit(passes, *fixed)
    assert (len(held_out.rows), held_out.levels) == size
