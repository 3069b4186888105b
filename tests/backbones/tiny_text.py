"""Tiny text encoders and tokenizers with random weights, for tests."""

import json
import struct
from pathlib import Path

import torch

WORDS = ("a", "cat", "walks", "over", "the", "red", "hill", "and", "sees", "two", "dogs", ".")


# Of the tokenizer: text, log probability, kind (1 plain, 2 unknown, 3 control).
PIECES = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2)]
PIECES += [("▁" + word, -2.0 - 0.1 * number, 1) for number, word in enumerate(WORDS)]
PIECES += [(letter, -6.0 - 0.01 * number, 1) for number, letter in enumerate("▁abcdefghijklmnopqrstuvwxyz.,'")]
PIECE_ID = {piece: number for number, (piece, _, _) in enumerate(PIECES)}


def sentencepiece_file(byte_fallback: bool = False) -> bytes:
    """A unigram SentencePiece model: <pad>, </s>, <unk>, words, letters, and the 256 bytes if asked for."""
    pieces = list(PIECES)
    if byte_fallback:
        pieces += [(f"<0x{value:02X}>", -9.0, 6) for value in range(256)]
    message = b"".join(
        field(1, field(1, piece.encode()) + field(2, score) + field(3, kind)) for piece, score, kind in pieces
    )
    trainer = field(3, 1) + field(40, 2) + field(41, 0) + field(42, 1) + field(43, 0)
    if byte_fallback:
        trainer += field(35, 1)
    return message + field(2, trainer) + field(3, field(1, b"identity") + field(3, 1) + field(4, 1) + field(5, 1))


def tokenizer_json() -> str:
    """The same model (without bytes) as a ``tokenizer.json`` of the tokenizers library, truncation left on."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram([(piece, score) for piece, score, _ in PIECES], PIECE_ID["<unk>"]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    end = ("</s>", PIECE_ID["</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single=["$A", "</s>"], special_tokens=[end])
    tokenizer.enable_truncation(3)
    return tokenizer.to_str()


def field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    result = b""
    while value > 127:
        result, value = result + bytes([value & 127 | 128]), value >> 7
    return result + bytes([value])


SIZES = {
    "vocab_size": 320, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0,
    "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 32,
}  # fmt: skip


def tiny_t5(kind: str):
    """transformers' UMT5EncoderModel ("umt5") or T5EncoderModel ("t5")."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind.upper()}Config")(**SIZES)
    module = getattr(transformers, f"{kind.upper()}EncoderModel")(config).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.randn(parameter.shape) * (0.1 if parameter.ndim == 2 else 0.3) + ("norm" in name))
    return module


def comfyui_state(module, spiece: bytes | None = None) -> dict[str, torch.Tensor]:
    """The tensors of a ComfyUI file of this encoder."""
    state = {name: tensor.clone() for name, tensor in module.state_dict().items() if "embed_tokens" not in name}
    if spiece is not None:
        state["spiece_model"] = torch.tensor(list(spiece), dtype=torch.uint8)
    return state


def save_llama_and_clip(folder: Path, texts: list[str]) -> Path:
    """HunyuanVideo's two encoders (widths 32 and 16) and their tokenizers, as a diffusers folder; returns it.

    Args:
        texts: that LLaMA's tokenizer learns its pieces from.
    """
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    special = ["<|begin|>", "<|pad|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.TemplateProcessing(single=["<|begin|>", "$A"], special_tokens=[("<|begin|>", 0)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|begin|>", pad_token="<|pad|>", padding_side="right"
    ).save_pretrained(folder / "tokenizer")

    clip_words = folder / "clip_words"
    clip_words.mkdir()
    letters = [*alphabet, *(letter + "</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    (clip_words / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    (clip_words / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer.from_pretrained(clip_words).save_pretrained(folder / "tokenizer_2")

    torch.manual_seed(0)
    llama = transformers.LlamaConfig(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=5, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=1,
    )  # fmt: skip
    transformers.LlamaModel(llama).save_pretrained(folder / "text_encoder")
    clip = transformers.CLIPTextConfig(
        vocab_size=len(letters), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        eos_token_id=len(letters) - 1, bos_token_id=len(letters) - 2, pad_token_id=len(letters) - 1,
    )  # fmt: skip
    transformers.CLIPTextModel(clip).save_pretrained(folder / "text_encoder_2")
    return folder
