"""Joint or split: what a run takes by itself, why, and what it keeps."""

import re

import pytest
import torch
from tiny_backbones import CONFIGS

from videoalign.backbones.families import backbone_classes
from videoalign.backbones.loading import describe_backbone
from videoalign.planning.counting import GB
from videoalign.planning.report import card_lines
from videoalign.training.plan.choice import choose_way
from videoalign.training.plan.flow_plan import FlowData, plan_flow
from videoalign.training.plan.flow_step import count_step
from videoalign.training.plan.memory import memory_of
from videoalign.training.train_flow_command import train_command

ROWS = 4
LATENTS = {"wan-t2v": (16, 3, 16, 16), "hunyuan-video": (16, 3, 16, 16), "ltx-video": (128, 5, 16, 16)}


def micro(name="dpo", **sections):
    config = train_command(name).Config(**{"output": "-", "preset": "micro", "data": {"train": ["-"]}, **sections})
    return config, train_command(name).method(getattr(config, name))


def chosen(free, began=None, name="dpo", rows=ROWS, **sections):
    return choose_way(*micro(name, **sections), rows, began, free=lambda _device: free)


@pytest.fixture(scope="module")
def needed():
    """Bytes that joint and split take, counted on the whole network."""
    both = {}
    for backward in ("joint", "split"):
        config, method = micro(dpo={"backward": backward}, micro_batch_size=ROWS)
        network = describe_backbone(config.model.transformer, whole=True)
        step = count_step(network, config, method, network.latent_format.shape(17, 64, 64), network.family.text_tokens)
        both[backward] = memory_of(step, config.memory, config.optimizer).needed
    return both


def test_joint_is_taken_where_it_fits_with_room_for_all_blocks_counted_by_one(needed):
    choice = chosen(10 * GB)
    assert choice.config.dpo.backward == choice.method.options.backward == "joint"
    told = re.fullmatch(
        r"dpo\.backward = joint: it takes at most (\S+ .B) \(counted, and 15 % between\), and 10\.0 GB are free on cpu\.",
        choice.said,
    )
    bound = float(told[1].split()[0]) * (GB if told[1].endswith("GB") else 1e6)
    assert needed["joint"] <= bound <= 6 * needed["joint"]  # six blocks, each with what stands before and behind them


def test_between_the_two_the_whole_network_is_counted(needed):
    assert needed["split"] < 0.7 * needed["joint"]
    for factor, backward in ((1.001, "joint"), (0.999, "split")):
        choice = chosen(int(factor * needed["joint"]))
        assert choice.config.dpo.backward == choice.method.options.backward == backward
        assert choice.said.startswith(f"dpo.backward = {backward}: ") and "at most" not in choice.said


def test_where_the_weights_alone_do_not_fit_or_nothing_tells_split_is_taken():
    choice = chosen(1000)
    assert choice.config.dpo.backward == "split"
    assert re.search(r"dpo\.backward = joint takes more than \S+ .B", choice.said)
    assert chosen(None).said == "dpo.backward = split: cpu does not tell what is free."


@pytest.mark.parametrize("backward", ["joint", "split"])
def test_a_run_goes_on_in_the_way_that_it_began_and_a_way_that_is_given_is_taken(backward):
    began = {"dpo": {"beta": 1.0, "backward": backward}}
    choice = chosen(10 * GB if backward == "split" else 1, began)
    assert choice.config.dpo.backward == choice.method.options.backward == backward
    assert choice.said == f"dpo.backward = {backward}, as the run began."
    given = chosen(1 if backward == "joint" else 10 * GB, dpo={"backward": backward})
    assert (given.config.dpo.backward, given.said) == (backward, None)


def test_dropout_leaves_joint_alone_and_other_losses_have_nothing_to_choose():
    choice = chosen(1, lora={"dropout": 0.1})
    assert (choice.config.dpo.backward, choice.method.options.backward, choice.said) == ("joint", "joint", None)
    config, method = micro("sft")
    assert choose_way(config, method, 1)[:3] == (config, method, None)


@pytest.mark.parametrize("name", LATENTS)
@pytest.mark.parametrize("checkpointing", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_no_network_takes_more_than_its_blocks_times_what_one_of_each_kind_takes(name, checkpointing):
    config, method = micro(
        dpo={"backward": "joint"}, memory={"gradient_checkpointing": checkpointing}, micro_batch_size=1
    )
    family, facts = CONFIGS[name]
    kind = backbone_classes()[family]

    def counted(at_most):
        settings = kind.with_defaults(facts)
        with torch.device("meta"):
            network = kind(kind.build_module(settings), settings)
        return count_step(network, config, method, LATENTS[name], 24, at_most=at_most)

    whole, bound = counted(False), counted(True)
    assert whole.matrices == bound.matrices and whole.others == bound.others
    for part in ("trained", "activations", "operations"):
        assert getattr(whole, part) <= getattr(bound, part), part


def test_a_plan_says_what_this_machine_takes_and_what_makes_it_fit_a_smaller_card(monkeypatch):
    monkeypatch.setattr(choose_way, "__defaults__", (None, lambda _device: 10**12))
    rows = 512
    config, method = micro(batch_size=rows, micro_batch_size=rows, data={"train": ["-"], "cache_only": True})
    plan = plan_flow(config, method, FlowData("pairs", rows, 1, 2 * rows, rows))
    assert any(
        line.startswith("dpo.backward = joint: it takes ") and "1000.0 GB are free" in line for line in plan.head
    )
    small = next(line for line in card_lines(plan) if "RTX 3060 12 GB" in line)
    assert "does not fit; with dpo.backward = split it takes " in small
    assert plan.ways()[0].needed < 0.6 * plan.needed
