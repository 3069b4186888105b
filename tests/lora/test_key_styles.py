"""Telling what a key of a LoRA file means."""

import pytest

from videoalign.lora.key_styles import Key, parse_key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("diffusion_model.blocks.0.self_attn.q.lora_A.weight", ("diffusion_model.", "blocks.0.self_attn.q", "A")),
        ("diffusion_model.blocks.0.ffn.2.lora_up.weight", ("diffusion_model.", "blocks.0.ffn.2", "B")),
        ("diffusion_model.blocks.0.ffn.2.alpha", ("diffusion_model.", "blocks.0.ffn.2", "alpha")),
        ("transformer.blocks.0.attn1.to_out.0.lora_B.weight", ("transformer.", "blocks.0.attn1.to_out.0", "B")),
        (
            "transformer.transformer_blocks.1.attn1.to_q.lora.down.weight",
            ("transformer.", "transformer_blocks.1.attn1.to_q", "A"),
        ),
        ("base_model.model.blocks.0.attn1.to_q.lora_A.weight", ("base_model.model.", "blocks.0.attn1.to_q", "A")),
        (
            "base_model.model.blocks.0.attn1.to_q.lora_A.default.weight",
            ("base_model.model.", "blocks.0.attn1.to_q", "A"),
        ),
        ("lora_unet_blocks_0_cross_attn_k.lora_down.weight", ("lora_unet_", "blocks_0_cross_attn_k", "A")),
        ("lora_unet__blocks_0_cross_attn_k.lora_up.weight", ("lora_unet__", "blocks_0_cross_attn_k", "B")),
        ("lora_transformer_blocks_0_attn1_to_q.alpha", ("lora_transformer_", "blocks_0_attn1_to_q", "alpha")),
        ("blocks.0.self_attn.q.lora_B.default.weight", ("", "blocks.0.self_attn.q", "B")),
        ("pipe.dit.blocks.0.self_attn.q.lora_A", ("pipe.dit.", "blocks.0.self_attn.q", "A")),
    ],
)
def test_the_common_styles_are_taken_apart(key, expected):
    assert parse_key(key) == Key(*expected)


@pytest.mark.parametrize(
    "key",
    ["diffusion_model.blocks.0.norm3.diff", "diffusion_model.blocks.0.ffn.0.diff_b", "x.dora_scale", "x.hada_w1_a", "x.weight",
     "x.lora_B.bias", "x.lora_mid.weight", "x.lokr_w1"],
)  # fmt: skip
def test_what_is_no_plain_lora_is_not_taken_for_one(key):
    assert parse_key(key) is None
