"""transformers' two halves of Qwen2-VL with the weights and frequencies of a network of ours: what ours are held to."""

from __future__ import annotations

from dataclasses import asdict

from torch import nn

from videoalign.reward.qwen2vl_network import Qwen2VLRewardNetwork


def vision_tower(network: Qwen2VLRewardNetwork) -> nn.Module:
    """transformers' vision tower."""
    from transformers.models.qwen2_vl import modeling_qwen2_vl as module

    config = _config(network).vision_config
    theirs = module.Qwen2VisionTransformerPretrainedModel._from_config(config, attn_implementation="sdpa")
    return _filled(theirs, network.visual)


def language_model(network: Qwen2VLRewardNetwork) -> nn.Module:
    """transformers' language model; it was named Qwen2VLModel before 4.52."""
    from transformers.models.qwen2_vl import modeling_qwen2_vl as module

    config = _config(network)
    text = getattr(module, "Qwen2VLTextModel", None) or module.Qwen2VLModel
    theirs = text._from_config(getattr(config, "text_config", config), attn_implementation="sdpa")
    return _filled(theirs, network.language_model)


def _config(network: Qwen2VLRewardNetwork):
    from transformers import Qwen2VLConfig

    shape = asdict(network.language_model.shape)
    rope = {"type": "mrope", "mrope_section": list(shape.pop("sections"))}
    vocabulary = network.language_model.embed_tokens.num_embeddings
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))
    return Qwen2VLConfig(
        **shape, **ids, rope_scaling=rope, vocab_size=vocabulary, vision_config=asdict(network.visual.shape)
    )


def _filled(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    theirs.load_state_dict(ours.state_dict())
    tables = [module for module in ours.modules() if hasattr(module, "inv_freq")]
    for module in theirs.modules():
        for name in ("inv_freq", "original_inv_freq"):
            if hasattr(module, name):
                setattr(module, name, tables[0].inv_freq)
    return theirs.to(next(ours.parameters())).eval()
