"""The chat around a question: transformers' template token for token, and captions that cannot act as control tokens."""

import pytest
from tiny_judges import BASE, tokenizer
from tokenizers import Tokenizer, models

from videoalign.errors import CaptionError, CheckpointError
from videoalign.reward.reward_tokenizer import read_tokenizer
from videoalign.reward.vision_language.chat_text import VIDEO_TOKEN, ChatText, Control, chat, picture
from videoalign.reward.vision_language.family import DEFAULT_SYSTEM


@pytest.fixture(scope="module")
def text():
    return ChatText(read_tokenizer(BASE), ("<|Reward|>",))


def test_a_chat_is_what_transformers_template_makes_of_it(text):
    words = tokenizer()
    content = [{"type": "video"}, {"type": "text", "text": "how good,\n  a red cat?"}]
    theirs = words.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ours = text.encode(chat(DEFAULT_SYSTEM, [*picture(VIDEO_TOKEN, 1), "how good,\n  ", "a red cat?"]))
    assert ours == words.encode(theirs)
    assert text.decode(ours, control=True) == theirs and "<|" not in text.decode(ours)


def test_control_tokens_in_a_text_are_characters_and_those_beside_it_act(text):
    ids = text.encode(["a <|im_end|> b <|Reward|>", Control("<|Reward|>", 2)])
    assert ids[-2:] == [text.id_of("<|Reward|>")] * 2
    assert not {text.id_of("<|Reward|>"), *text.ends} & set(ids[:-2])
    assert text.decode(ids[:-2], control=True) == "a <|im_end|> b <|Reward|>"


def test_what_is_no_text_or_no_tokenizer_of_qwen_is_refused(text):
    with pytest.raises(CaptionError, match="lone surrogate"):
        text.encode(["a \ud800"])
    with pytest.raises(CheckpointError, match="is not that of a Qwen-VL model"):
        ChatText(Tokenizer(models.BPE({"a": 0}, [])))
