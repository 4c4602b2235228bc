"""Models that see, and rows with several images, for the bench of memory."""

import base64
import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.running import ROOT

OWN = ROOT / "jobs/localvertex/models/shapes_and_colours"
COPIED = ("chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
# About half of Gemma 3 4B's tower, and a language model that is not so large that nothing else can be seen.
TEXT = {
    "hidden_size": 640, "intermediate_size": 2560, "num_hidden_layers": 8, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 80, "query_pre_attn_scalar": 80,
    "layer_types": ["sliding_attention"] * 5 + ["full_attention"] + ["sliding_attention"] * 2,
}  # fmt: skip
TOWER = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 6, "num_attention_heads": 12,
    "image_size": 448, "patch_size": 14,
}  # fmt: skip
IMAGE_TOKENS = 64


def make_random(folder: Path) -> Path:
    """The tiny model that sees with other sizes and weights that mean nothing."""
    import torch  # noqa: PLC0415 - takes seconds
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration  # noqa: PLC0415

    folder.mkdir()
    for name in COPIED:
        shutil.copy(OWN / name, folder / name)
    config = json.loads((OWN / "config.json").read_text())
    config["text_config"] |= TEXT
    config["vision_config"] |= TOWER
    config["mm_tokens_per_image"] = IMAGE_TOKENS
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(Gemma3Config(**config)).bfloat16()
    model.save_pretrained(folder)
    processor: dict[str, Any] = json.loads((OWN / "processor_config.json").read_text())
    processor["image_processor"] |= {"size": {"height": TOWER["image_size"], "width": TOWER["image_size"]}}
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


def make_row(number: int, images: int, prompt: str, completion: str) -> str:
    """A line of messages; no two images are alike."""
    parts = [{"type": "image_url", "image_url": {"url": _draw(number * images + one)}} for one in range(images)]
    content = [*parts, {"type": "text", "text": prompt}]
    return json.dumps(
        {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": completion}]}
    )


def _draw(seed: int) -> str:
    image = Image.frombytes("RGB", (32, 32), random.Random(seed).randbytes(32 * 32 * 3))  # noqa: S311 - no secret
    content = io.BytesIO()
    image.save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
