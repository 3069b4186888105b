"""What the search node knows without ComfyUI: seeds as text, what samplers cost, what is remembered and for how long."""

import ast
from pathlib import Path

import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.nodes.content_key import content_key
from videoalign.nodes.known_takes import KnownTakes
from videoalign.nodes.seed_numbers import parse_seeds
from videoalign.nodes.seed_samplers import STEPLESS, check_can_go_on, check_sampler, evaluations, sampler_name

NODES = Path(__file__).resolve().parents[2] / "nodes"


def test_seeds_are_whole_numbers_with_anything_between():
    assert parse_seeds(" 4711, 3;5\n0 ", "keep_seeds") == (4711, 3, 5, 0) and parse_seeds("", "x") == ()
    assert parse_seeds(str(2**64 - 1), "x") == (2**64 - 1,)
    for wrong in ("best", "-1", "1.5", str(2**64), "\N{ARABIC-INDIC DIGIT ONE}"):
        with pytest.raises(VideoAlignError, match="keep_seeds: "):
            parse_seeds(wrong, "keep_seeds")


def test_a_sampler_is_called_what_ksampler_calls_it():
    class Sampler:
        def __init__(self, name):
            self.sampler_function = type("f", (), {"__name__": name})()

    assert [sampler_name(Sampler(name)) for name in ("sample_heun", "sample_unipc_bh2", "dpm_fast_function")] == ["heun", "uni_pc_bh2", "dpm_fast"]  # fmt: skip
    with pytest.raises(VideoAlignError, match="chooses its steps by itself"):
        check_sampler("dpm_fast")


def test_samplers_that_add_noise_or_have_options_of_their_own_do_not_go_on():
    check_can_go_on("euler", {})
    check_can_go_on("euler", {"s_churn": 0.0})
    for name, options in (("euler", {"s_churn": 1.0}), ("lcm", {}), ("somebodys", {})):
        with pytest.raises(VideoAlignError, match="makes another clip"):
            check_can_go_on(name, options)


def test_evaluations_are_those_of_the_steps_the_last_of_which_is_cut_short():
    assert [evaluations("euler", steps, True, False) for steps in (1, 5)] == [1, 5]
    assert (
        evaluations("heun", 5, stopped=True, to_zero=False) == 9 == evaluations("heun", 5, stopped=False, to_zero=True)
    )
    assert evaluations("heun", 5, stopped=False, to_zero=False) == 10


def test_what_was_seen_and_finished_is_kept_within_bounds():
    known = KnownTakes(most_looks=2, most_bytes=100)
    for number in range(3):
        known.keep_look(number, f"look {number}")
    assert [known.look(number) for number in range(3)] == [None, "look 1", "look 2"]
    known.look(1)
    known.keep_look(3, "look 3")
    assert known.look(1) and not known.look(2)  # the one that was asked for last stays
    for number in range(3):
        known.keep_finished(number, torch.zeros(10))  # 40 bytes each
    assert known.finished(0) is None and known.finished(1) is not None
    known.keep_finished(9, torch.zeros(1000))
    assert known.finished(9) is not None and known.finished(2) is None


def test_keys_are_of_content_but_of_an_object_only_itself_is_the_same():
    tensor = torch.arange(6.0)
    same = {"a": [1, 2.0, None], "b": tensor, "uuid": object()}
    again = {"b": tensor.clone(), "a": [1, 2.0, None], "uuid": object()}
    assert content_key(same) == content_key(again)
    others = ({"a": [1, 2.0], "b": tensor}, {**same, "b": tensor.view(2, 3)}, {**same, "b": tensor.double()}, {**same, "a": [1, 2, None]})  # fmt: skip
    assert len({content_key(value) for value in (same, *others)}) == 1 + len(others)
    assert content_key(torch.tensor(1.5, dtype=torch.bfloat16)) != content_key(torch.tensor(1.5, dtype=torch.float16))

    class Patch:
        def act(self):
            pass

    one, two = Patch(), Patch()
    assert content_key(one) == content_key(one) != content_key(two)
    assert content_key(one.act) == content_key(one.act) != content_key(two.act)
    assert content_key([1, [2]]) != content_key([[1], 2]) and content_key("1") != content_key(1)


def test_the_widgets_say_what_the_search_means():
    """They stand apart, for those of the search take torch."""
    values = {}
    for name in ("search_seeds_inputs", "seed_takes"):
        tree = ast.parse((NODES / f"{name}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Tuple | ast.Name)
                and "CONTINUE" in ast.unparse(node)
            ):
                values[name] = ast.literal_eval(node.value)
    assert values["search_seeds_inputs"] == values["seed_takes"] == ("replay", "continue")
    assert f"_STEPLESS = {STEPLESS!r}".replace("'", '"') in (NODES / "search_seeds_inputs.py").read_text(
        encoding="utf-8"
    )
