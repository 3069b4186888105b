"""Names of layers in files, in ComfyUI's network and in LoRAs are one table."""

import pytest
from tiny_backbones import original_state, tencent_name, tiny

from videoalign.backbones.hunyuan_video_names import FILE_NAMES
from videoalign.backbones.renaming import FileNames


def test_every_tensor_of_tencents_files_becomes_one_of_comfyuis_network():
    names = original_state(tiny("hunyuan-video", guidance_embeds=True))
    assert any(tencent_name(name) != name for name in names)
    assert [FILE_NAMES.to_network(tencent_name(name)) for name in names] == list(names)
    assert [FILE_NAMES.to_network(name) for name in names] == list(names)


@pytest.mark.parametrize(
    ("in_lora", "layer"),
    [
        ("double_blocks.0.img_attn_qkv", "double_blocks.0.img_attn.qkv"),
        ("double_blocks.7.txt_mod.linear", "double_blocks.7.txt_mod.lin"),
        ("single_blocks.3.modulation.linear", "single_blocks.3.modulation.lin"),
        ("double_blocks.1.txt_mlp.fc2", "double_blocks.1.txt_mlp.2"),
    ],
)
def test_loras_may_follow_the_files(in_lora, layer):
    assert FILE_NAMES.to_lora(layer) == in_lora and FILE_NAMES.from_lora(in_lora) == layer


@pytest.mark.parametrize("layer", ["double_blocks.0.img_attn.qkv", "time_in.mlp.0", "double_blocks.0.txt_mlp.2"])
def test_what_no_lora_is_renamed_from_is_none(layer):
    """The network's own names, and those that ComfyUI renames in model files alone."""
    assert FILE_NAMES.from_lora(layer) is None


def test_a_part_ends_where_a_part_of_the_name_ends():
    names = FileNames([("mlp.1", "mlp.first", True)])
    assert names.to_network("a.mlp.1.weight") == "a.mlp.first.weight"
    assert names.to_network("a.mlp.10.weight") == "a.mlp.10.weight"
