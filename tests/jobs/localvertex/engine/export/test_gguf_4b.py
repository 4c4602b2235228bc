"""A folder with everything that Google's gemma-3-4b-it folder has and the fixtures do not, at a tiny size: the settings
as they were published in 2025 (most are left to their defaults), the names of its tensors, scaled rope, an order of
attention layers with every sixth whole, an image token beyond the vocabulary proper, and rows that no token has.

The weights are random. What llama.cpp makes of the converted files is compared with what transformers makes of the
folder."""

import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

from jobs.localvertex.engine.export.gguf import convert
from jobs.localvertex.engine.model import load_base
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder
from jobs.localvertex.engine.vision import Vision
from tests.jobs.localvertex.engine.conftest import TINY_VISION
from tests.jobs.localvertex.engine.llama import Llama, data_uri, llama

TOKENS, ROWS = 1537, 1600
CONFIG: dict[str, Any] = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "boi_token_index": 6,
    "eoi_token_index": 7,
    "eos_token_id": [1, 5],
    "image_token_index": TOKENS - 1,
    "initializer_range": 0.3,
    "mm_tokens_per_image": 4,
    "model_type": "gemma3",
    "text_config": {
        "head_dim": 32,
        "hidden_size": 64,
        "initializer_range": 0.3,
        "intermediate_size": 160,
        "model_type": "gemma3_text",
        "num_hidden_layers": 13,
        "query_pre_attn_scalar": 32,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 32,
        "vocab_size": ROWS,
    },
    "torch_dtype": "bfloat16",
    "transformers_version": "4.50.0.dev0",
    "vision_config": {
        "hidden_size": 32,
        "image_size": 32,
        "intermediate_size": 80,
        "model_type": "siglip_vision_model",
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "patch_size": 4,
        "vision_use_head": False,
    },
}
PUBLISHED = {
    "model.language_model.": "language_model.model.",
    "model.multi_modal_projector.": "multi_modal_projector.",
    "model.vision_tower.": "vision_tower.vision_model.",
}
LONG = " ".join(f"The star number {n} is on the left of circle number {n + 1}." for n in range(12))


def published(name: str) -> str:
    return next(new + name.removeprefix(old) for old, new in PUBLISHED.items() if name.startswith(old))


def write_weights(folder: Path) -> None:
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(Gemma3Config(**CONFIG))
    for name, parameter in model.named_parameters():
        if "norm" in name or parameter.dim() == 1:
            torch.nn.init.normal_(parameter, std=0.2)
    tensors = {
        published(name): value.bfloat16().contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_tokenizer(folder: Path) -> None:
    stored = json.loads((TINY_VISION / "tokenizer.json").read_text())
    soft = next(token for token in stored["added_tokens"] if token["content"] == "<image_soft_token>")
    stored["added_tokens"].append(soft | {"id": TOKENS - 1})
    soft["content"] = "<unused0>"
    stored["model"]["vocab"]["<unused0>"] = stored["model"]["vocab"].pop("<image_soft_token>")
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(TINY_VISION / name, folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gemma-3-4b-it")
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    write_weights(made)
    write_tokenizer(made)
    return made


@pytest.fixture(scope="module")
def files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return convert(folder, tmp_path_factory.mktemp("gguf"), "f32")


def picture() -> bytes:
    content = io.BytesIO()
    pixels = bytes(random.Random(7).randrange(256) for _ in range(32 * 32 * 3))
    Image.frombytes("RGB", (32, 32), pixels).save(content, "PNG")
    return content.getvalue()


def answered(model: Llama, question: str, images: list[bytes], tokens: int) -> list[dict[str, Any]]:
    """For each token of llama.cpp's answer: its id, and the log-probabilities of the likeliest."""
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": data_uri(image)}} for image in images]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, "logprobs": True, "top_logprobs": 20}
    found: Any = model.post("/v1/chat/completions", body)["choices"]
    return list(found[0]["logprobs"]["content"])


def expected(folder: Path, model: Any, question: str, images: list[bytes], answer: list[int]) -> torch.Tensor:
    """Log-probabilities by transformers, at each place of that answer."""
    vision = Vision.read(folder)
    assert vision is not None
    turn = Turn("user", "<start_of_image>" * len(images) + question, tuple(images))
    prompt = ChatEncoder(folder).encode_prompt([turn])
    ids = torch.tensor([prompt + answer])
    seen = {"pixel_values": torch.stack([vision.pixels(image) for image in images])} if images else {}
    with torch.inference_mode():
        logits = model(input_ids=ids, token_type_ids=(ids == vision.image_token).long(), **seen).logits[0]
    return torch.log_softmax(logits[len(prompt) - 1 : -1].float()[:, :TOKENS], -1)


@pytest.mark.parametrize(
    ("question", "images"),
    [("Hello", 0), (LONG, 0), ("Describe the picture.", 1), (LONG, 2)],
    ids=["short", "longer than the window", "picture", "pictures and a long text"],
)
@pytest.mark.slow
def test_llama_cpp_computes_what_transformers_computes(
    folder: Path, files: list[Path], question: str, images: int
) -> None:
    with llama(files[0], mmproj=files[1]) as served:
        answer = answered(served, question, [picture()] * images, 12)
    ids = [int(place["id"]) for place in answer]
    wanted = expected(folder, load_base(folder, torch.float32), question, [picture()] * images, ids)
    assert len(ids) == 12
    for place, row in zip(answer, wanted, strict=True):
        assert row[int(place["id"])] > row.max() - 0.1
        apart = [abs(one["logprob"] - float(row[one["id"]])) for one in place["top_logprobs"]]
        assert max(apart) < 0.1


def test_settings_of_the_files(files: list[Path]) -> None:
    text, vision = ({key: field.contents() for key, field in gguf.GGUFReader(path).fields.items()} for path in files)
    assert (text["gemma3.rope.scaling.type"], text["gemma3.rope.scaling.factor"]) == ("linear", 8.0)
    assert (text["gemma3.rope.freq_base"], text["gemma3.rope.freq_base_swa"]) == (1_000_000.0, 10_000.0)
    assert (text["gemma3.attention.sliding_window"], text["gemma3.context_length"]) == (32, 131_072)
    assert (len(text["tokenizer.ggml.tokens"]), text["tokenizer.ggml.tokens"][-1]) == (TOKENS, "<image_soft_token>")
    assert vision["clip.vision.projector.scale_factor"] == 4
    (embedding,) = [one for one in gguf.GGUFReader(files[0]).tensors if one.name == "token_embd.weight"]
    assert list(embedding.shape) == [64, TOKENS]
