"""Greedy answers are those of transformers' generate: of one question, of several at once, of clips and of pictures."""

import pytest
import torch
from tiny_judges import END, PAD, inputs_of, qwen2_5_vl, save_model

from videoalign.reward.vision_language.answers import answers
from videoalign.reward.vision_language.family import QWEN2_5_VL
from videoalign.reward.vision_language.network import load_vision_language
from videoalign.reward.vision_language.pictures import Pictures
from videoalign.reward.vision_language.questions import question

WATCHED = range(10, 30)


@pytest.fixture(scope="module")
def module():
    return qwen2_5_vl()


@pytest.fixture(scope="module")
def model(module, tmp_path_factory):
    folder = save_model(module, tmp_path_factory.mktemp("model"), penalty=1.3)
    return load_vision_language(folder, (QWEN2_5_VL,), "", dtype="float32", device="cpu")


def asked(model, frames, words, as_clip):
    pixels = torch.randint(
        0, 256, (frames, 3, 84, 56), generator=torch.Generator().manual_seed(frames), dtype=torch.uint8
    )
    return question(model.family, model.text, [Pictures(pixels, frames, 2.0)], words, as_clip, 2.0, torch.device("cpu"))


@pytest.mark.parametrize("as_clip", [True, False])
def test_answers_of_questions_of_any_length_are_those_of_generate(module, model, as_clip):
    questions = [asked(model, 2, "how good is this one?", as_clip), asked(model, 4, "and this?", as_clip)]
    together = answers(model, questions, 8, WATCHED)
    for one, answer in zip(questions, together, strict=True):
        out = module.generate(
            **inputs_of(module, one), do_sample=False, repetition_penalty=1.3, max_new_tokens=8, output_scores=True,
            return_dict_in_generate=True, eos_token_id=[END, PAD], pad_token_id=PAD,
        )  # fmt: skip
        assert answer.ids == out.sequences[0, len(one.ids) :].tolist() and len(set(answer.ids)) > 1
        # float32: scores of up to about 10, sums of 200 products, two layers
        assert torch.allclose(answer.watched, torch.cat(out.scores)[:, WATCHED], atol=1e-5, rtol=1e-5)
        [alone] = answers(model, [one], 8, WATCHED)
        assert alone.ids == answer.ids and torch.allclose(alone.watched, answer.watched, atol=1e-5, rtol=1e-5)
        assert not answer.ended and answer.text == model.text.decode(answer.ids)


def test_an_answer_ends_where_the_model_ends_it_and_others_go_on(module, model):
    questions = [asked(model, 2, "how good is this one?", True), asked(model, 4, "and this?", True)]
    whole = [answer.ids for answer in answers(model, questions, 6)]
    stop = whole[0][2]
    assert stop not in whole[1]
    ends, model.text.ends = model.text.ends, (stop,)
    try:
        first, second = answers(model, questions, 6, WATCHED)
    finally:
        model.text.ends = ends
    assert first.ids == whole[0][:2] and first.ended and len(first.watched) == 2
    assert second.ids == whole[1] and not second.ended
