import numpy as np

from videoalign.micro_world import Fault, change_attributes, sample_attributes
from videoalign.micro_world.answers import CHOICES, FAULTS, contradictions, fault_degrees, shown_values
from videoalign.micro_world.scene import TEXT_ATTRIBUTES


def test_absent_faults_have_degree_0_and_each_has_its_place():
    degrees = fault_degrees((Fault("jitter", 0.25), Fault("blur", 0.5)))
    assert dict(zip(FAULTS, degrees.tolist(), strict=True)) == {name: 0.0 for name in FAULTS} | {
        "jitter": 0.25,
        "blur": 0.5,
    }


def test_shown_values_name_what_is_shown():
    for seed in range(20):
        shown = sample_attributes(np.random.default_rng(seed))
        named = [CHOICES[name][place] for name, place in zip(TEXT_ATTRIBUTES, shown_values(shown), strict=True)]
        assert named == [getattr(shown, name) for name in TEXT_ATTRIBUTES]


def test_contradictions_are_the_attributes_that_were_changed():
    rng = np.random.default_rng(3)
    described = sample_attributes(rng)
    shown = change_attributes(rng, described, ("shape", "count"))
    expected = [float(name in ("shape", "count")) for name in TEXT_ATTRIBUTES]
    assert contradictions(shown, described) == expected and contradictions(described, described) == [0.0] * len(
        expected
    )
