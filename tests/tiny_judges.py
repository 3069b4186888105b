"""Tiny vision-language and CLIP models with random weights, in the folders that users have, and a way to teach them an answer."""

import inspect
import json
import shutil
from pathlib import Path

import torch

BASE = Path(__file__).resolve().parent / "data" / "videoreward" / "checkpoints" / "base"
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")
VOCABULARY = 1280
PAD, END, IMAGE, VIDEO = 1200, 1202, 1212, 1213
TOKENS = {
    "vision_start_token_id": 1209, "vision_end_token_id": 1210, "image_token_id": IMAGE, "video_token_id": VIDEO,
}  # fmt: skip
TEXT = {
    "hidden_size": 192, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 12, "num_key_value_heads": 4,
    "vocab_size": VOCABULARY, "max_position_embeddings": 32768, "bos_token_id": PAD, "eos_token_id": END,
}  # fmt: skip
VISION = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 192, "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}  # fmt: skip


def qwen2_5_vl():
    """The class of VideoScore2: Qwen2.5-VL, two layers."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    vision = {**VISION, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 2}
    rope = {"type": "mrope", "mrope_section": [2, 3, 3]}
    config = Qwen2_5_VLConfig(
        **TOKENS, **TEXT, rope_scaling=rope, rope_theta=1e6, vision_config=vision, tie_word_embeddings=False
    )
    return filled(Qwen2_5_VLForConditionalGeneration(config))


def qwen3_vl(tied=False):
    """The class of UnifiedReward-2.0: Qwen3-VL, two layers."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    vision = {**VISION, "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    text = {**TEXT, "head_dim": 16, "rope_scaling": rope, "rope_theta": 5e6, "tie_word_embeddings": tied}
    config = Qwen3VLConfig(**TOKENS, text_config=text, vision_config=vision, tie_word_embeddings=tied)
    return filled(Qwen3VLForConditionalGeneration(config))


def filled(module, seed=0):
    """With random weights large enough that every answer depends on every input."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            matrix = parameter.ndim > 1 and "embed" not in name
            parameter.copy_(
                1.5 * noise / parameter[0].numel() ** 0.5 if matrix else 0.2 * noise + ("norm" in name or "ln" in name)
            )
    return module.eval()


def save_model(module, folder, penalty=None):
    """A folder as transformers writes it, with the tiny Qwen tokenizer."""
    module.save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(BASE / name, folder / name)
    generation = {} if penalty is None else {"repetition_penalty": penalty}
    (folder / "generation_config.json").write_text(json.dumps({**generation, "eos_token_id": [END, PAD]}))
    return folder


def tokenizer():
    """transformers' own."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(BASE)


def inputs_of(module, question):
    """What this version of transformers takes for one of our questions; positions are left for it to find."""
    ids = torch.tensor([question.ids])
    kinds = (ids == IMAGE) * 1 + (ids == VIDEO) * 2
    grids = torch.tensor(question.grids)
    pictures = (
        {"pixel_values_videos": question.patches, "video_grid_thw": grids, "second_per_grid_ts": torch.ones(len(grids))}
        if question.as_clip
        else {"pixel_values": question.patches, "image_grid_thw": grids}
    )
    known = {"mm_token_type_ids": kinds} if "mm_token_type_ids" in inspect.signature(module.forward).parameters else {}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **known, **pictures}


@torch.no_grad()
def teach(module, lessons):
    """Give the output layer the weights with which greedy answers are the wanted ones.

    A network of 192 channels can say any 192 tokens: its last hidden states are linearly independent, so weights that
    map each to its token's row of scores exist, and least squares finds the smallest ones.

    Args:
        lessons: pairs of a question and its answer, token ids with the score that each step's tokens get: a list of
            dictionaries, the first token of each being the one that is said.
    """
    states, scores = [], []
    for question, steps in lessons:
        said = [next(iter(step)) for step in steps]
        given = inputs_of(module, question)
        more = torch.tensor([said])
        for name, filler in (("input_ids", more), ("attention_mask", more > -1), ("mm_token_type_ids", 0 * more)):
            if name in given:
                given[name] = torch.cat([given[name], filler.to(given[name].dtype)], 1)
        hidden = module(**given, output_hidden_states=True).hidden_states[-1][0]
        states.append(hidden[len(question.ids) - 1 : -1])
        for step in steps:
            row = torch.zeros(VOCABULARY)
            for token, score in step.items():
                row[token] = score
            scores.append(row)
    known = torch.cat(states).double()
    module.lm_head.weight.copy_((torch.linalg.pinv(known) @ torch.stack(scores).double()).T)


def steps_of(ids, instead=None, end=END):
    """An answer as ``teach`` takes it: each token at 10, those of ``instead`` (by the token they compete with) as given."""
    return [{token: 10.0, **(instead or {}).get(token, {})} for token in ids] + [{end: 10.0}]
