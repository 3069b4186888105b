"""Single conditionings become a batch, or it is said why not."""

import pytest
import torch

from videoalign.backbones.conditioning import ConditioningError, collate


def test_texts_of_one_length_need_no_mask():
    texts = torch.randn(2, 3, 4)
    batch = collate([{"text": text, "pooled": text[0]} for text in texts])
    assert batch.keys() == {"text", "pooled"}
    assert torch.equal(batch["text"], texts) and torch.equal(batch["pooled"], texts[:, 0])


def test_shorter_texts_are_padded_with_zeros_and_masked():
    batch = collate([{"text": torch.ones(1, 2)}, {"text": torch.ones(3, 2)}])
    assert batch["text"].tolist() == [[[1, 1], [0, 0], [0, 0]], [[1, 1]] * 3]
    assert batch["text_mask"].tolist() == [[True, False, False], [True] * 3]


def test_masks_that_were_given_are_kept():
    batch = collate([{"text": torch.ones(2, 2), "text_mask": torch.tensor([1, 0])}, {"text": torch.ones(2, 2)}])
    assert batch["text_mask"].tolist() == [[True, False], [True, True]]


def test_scalars_become_one_a_sample():
    batch = collate([{"text": torch.ones(1, 2), "guidance": torch.tensor(6.0)}] * 2)
    assert batch["guidance"].tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    ("conditionings", "message"),
    [
        ([], "no conditioning"),
        ([{"pooled": torch.ones(2)}], r"needs 'text' \[L, D\]"),
        ([{"text": torch.ones(1, 2)}, {"text": torch.ones(1, 3)}], "of one width"),
        ([{"text": torch.ones(1, 1, 2)}], r"Texts must be \[L, D\]"),
        ([{"text": torch.ones(1, 2)}, {"text": torch.ones(1, 2), "pooled": torch.ones(2)}], "same entries"),
        ([{"text": torch.ones(1, 2), "pooled": torch.ones(own)} for own in (2, 3)], "'pooled' differs in shape"),
        ([{"text": torch.ones(1, 2), "text_mask": torch.ones(3)}], r"text_mask must have shape \[1\]"),
    ],
)
def test_what_cannot_make_a_batch_is_refused(conditionings, message):
    with pytest.raises(ConditioningError, match=message):
        collate(conditionings)
