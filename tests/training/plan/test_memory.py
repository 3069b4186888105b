"""Memory by arithmetic: what weights take in each form, against the stored weights themselves."""

import pytest
import torch

from videoalign.backbones.stored_weights import STORED
from videoalign.planning.cards import CARDS, UTILISATION
from videoalign.training.flow.config import MemoryConfig, OptimizerConfig
from videoalign.training.plan.flow_step import Matrix, StepCount
from videoalign.training.plan.memory import fraction_that_fits, memory_of, smaller

SHAPE = (512, 1024)
STEP = StepCount((Matrix(*SHAPE),) * 3, 2, 1000, 5000, 10**6, 10**9, 80, 1)


@pytest.mark.parametrize("form", ["float8", "nf4"])
def test_a_matrix_takes_what_it_takes_when_it_is_stored(form):
    if form == "nf4":
        pytest.importorskip("bitsandbytes", reason="4 bits need bitsandbytes")
    stored = STORED[form](torch.randn(SHAPE).bfloat16(), offload=False)
    counted = memory_of(STEP, MemoryConfig(base_dtype=form), OptimizerConfig()).weights - STEP.others
    # bitsandbytes also keeps the table of its 256 scales' values and their mean.
    assert counted == pytest.approx(3 * stored.nbytes, abs=3 * (256 + 2) * 4)


def test_the_parts():
    plain = memory_of(STEP, MemoryConfig(), OptimizerConfig())
    assert plain.weights == 3 * 512 * 1024 * 2 + 1000 and plain.main_memory == 0
    assert (plain.adapter, plain.optimizer, plain.activations) == (5000 * 8, 5000 * 8, 10**6)
    away = memory_of(STEP, MemoryConfig(offload_blocks=True), OptimizerConfig())
    assert away.weights == 1000 and away.main_memory == 3 * 512 * 1024 * 2
    assert away.activations == 10**6 + 2 * 512 * 1024 * 2  # two matrices at a time are brought back
    assert plain.needed == pytest.approx(1.15 * (plain.weights + plain.adapter + plain.optimizer + plain.activations))


def test_changes_are_options_that_need_less_and_are_not_given_yet():
    words = [change.words for change in smaller(STEP, MemoryConfig(), OptimizerConfig())]
    assert (
        "memory.offload_blocks = true" in words
        and words[-1] == "memory.base_dtype = nf4, memory.offload_blocks = true, optimizer.kind = adamw8bit"
    )
    done = MemoryConfig(base_dtype="nf4", offload_blocks=True)
    assert list(smaller(STEP, done, OptimizerConfig(kind="adamw8bit"))) == []


def test_the_share_of_a_clip_that_fits():
    memory = memory_of(STEP, MemoryConfig(offload_blocks=True), OptimizerConfig())
    fixed = memory.counted - STEP.activations
    assert fraction_that_fits(STEP, memory, 1.15 * (fixed + 250_000)) == pytest.approx(0.25)
    assert fraction_that_fits(STEP, memory, fixed) is None


def test_a_card_takes_its_peak_times_what_is_reached_of_it():
    card = next(card for card in CARDS if card.name.startswith("A100"))
    assert card.seconds(312e12 * UTILISATION) == pytest.approx(1.0)
    assert [one.gigabytes for one in CARDS] == pytest.approx(
        [int(one.name.split()[-2]) * 1024**3 / 1e9 for one in CARDS], abs=0.1
    )
