"""docs/training_options.md names every option of the LoRA trainers, and none that does not exist."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from videoalign.training.flow.methods import method_summaries
from videoalign.training.train_flow_command import train_command

PAGE = Path(__file__).parents[2] / "docs" / "training_options.md"


def options_of(model: type[BaseModel], section: str = "") -> set[str]:
    """Dotted names of all options, those of sections included."""
    names = set()
    for name, field in model.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        names |= options_of(field.annotation, f"{section}{name}.") if nested else {section + name}
    return names


def named_in(text: str) -> set[str]:
    """What stands in the first cells of the tables under the headings that list options."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text.partition("## What is trained on")[2], flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_page_and_the_options_are_the_same():
    known = set().union(*(options_of(train_command(method).Config) for method in method_summaries()))
    assert "rvm.anchor" in known and "data.weights.VQ" in known and "max_steps" in known
    named = named_in(PAGE.read_text(encoding="utf-8"))
    assert known - named == set(), "options without a word on the page"
    assert named - known == set(), "names that are no options"


@pytest.mark.parametrize("method", sorted(method_summaries()))
def test_every_option_has_a_description_for_its_help(method):
    def described(model, section=""):
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from described(field.annotation, f"{section}{name}.")
            else:
                yield section + name, field.description

    assert not [name for name, text in described(train_command(method).Config) if not text]
