"""Facts of LTX-2 (2.0 and 2.3): its video stream."""

from .family import GIVEN_ENTRIES, Family
from .latent_format import LatentFormat

LTXAV = LatentFormat("ltx-2", channels=128, spatial_stride=32, temporal_stride=8)

_ATTENTION = r"((audio_)?attn[12]|audio_to_video_attn|video_to_audio_attn)\.(to_q|to_k|to_v|to_out\.0|to_gate_logits)"
_MLP = r"(audio_)?ff\.net\.(0\.proj|2)"
_BLOCKS = rf"transformer_blocks\.\d+\.({_ATTENTION}|{_MLP})"
_CONNECTORS = r"(audio|video)_embeddings_connector\.transformer_1d_blocks\.\d+\.(attn1\.(to_q|to_k|to_v|to_out\.0|to_gate_logits)|ff\.net\.(0\.proj|2))"
_REST = (
    r"((audio_)?(prompt_)?adaln_single|av_ca_(video|audio)_scale_shift_adaln_single|av_ca_(a2v|v2a)_gate_adaln_single)"
    r"\.(linear|emb\.timestep_embedder\.linear_[12])"
    r"|(audio_)?caption_projection\.linear_[12]|(audio_)?patchify_proj|(audio_)?proj_out"
)
_NORMS = r"transformer_blocks\.\d+\.((audio_)?attn[12]|audio_to_video_attn|video_to_audio_attn)\.[qk]_norm"
_CONNECTOR_NORMS = r"(audio|video)_embeddings_connector\.transformer_1d_blocks\.\d+\.attn1\.[qk]_norm"

LTX2 = Family(
    name="ltx-2",
    title="LTX-2",
    implementation="https://github.com/Lightricks/LTX-2",
    latent_formats={"LTXAV": LTXAV},
    conditioning={"text": "c_crossattn", "text_mask": "attention_mask", "frame_rate": "frame_rate", **GIVEN_ENTRIES},
    lora_layers=rf"{_BLOCKS}|{_CONNECTORS}|{_REST}|{_NORMS}|{_CONNECTOR_NORMS}",
    lora_others=rf"({_BLOCKS}|{_CONNECTORS}|{_REST})\.bias"
    r"|(transformer_blocks\.\d+\.)?((audio_)?(prompt_)?scale_shift_table|scale_shift_table_a2v_ca_(audio|video))"
    r"|(audio|video)_embeddings_connector\.learnable_registers",
    lora_bare_names=True,  # ComfyUI 0.30
    lora_alphas=False,  # diffusers 0.42: "Make sure all LoRA param names contain `lora`"
    # A LoRA of the video's attentions alone has LTX-Video's names: then nothing tells them apart.
    lora_signs=r"transformer_blocks_\d+_(audio_|video_to_audio_|video_a2v_|scale_shift_table_a2v_|attn[12]_to_gate_logits)"
    r"|audio_(adaln_single|prompt_adaln|patchify_proj|proj_in|time_embed)|av_ca_|av_cross_attn_|prompt_adaln",
    text_tokens=1024,
)
