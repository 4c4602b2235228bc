"""How a decoder is built, as far as its memory depends on it: by its config.json and the headers of its weights."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jobs.localvertex.memory.headers import read_header

# Norms of a layer's whole width; whether each head has norms of its own.
NORMS = {"gemma3": (4, True), "gemma3_text": (4, True), "qwen3": (2, True)}
USUAL_NORMS = (2, False)
USUAL_SIDE, USUAL_PATCH = 224, 16  # of a tower
USUAL_IMAGE_TOKENS, MARKS = 256, 2
HEAD_OF_GEMMA = 256  # where the configuration does not tell it
# Numbers in a byte of MXFP4 by how the tensor's name ends: two of four bits, and scales that are none by themselves.
PACKED = {"_blocks": 2, "_scales": 0}


@dataclass(frozen=True)
class Shape:
    """`near`: layers that look back only `window` tokens. `parameters`: all of them, `seeing` those of the tower and
    the projector of a model that sees, which takes images of `side` pixels in squares of `patch` and has `image_tokens`
    of each in a row, the marks before and after among them."""

    model_type: str
    layers: int
    near: int
    window: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    parameters: int
    seeing: int = 0
    side: int = 0
    patch: int = 1
    tower_width: int = 0
    tower_inner: int = 0
    image_tokens: int = 0

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None where the files do not tell: nothing can be said of such a model."""
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            return cls.of(config, count_parameters(folder))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            return None

    @classmethod
    def of(cls, config: dict[str, Any], parameters: dict[str, int]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is no decoder's configuration."""
        text, tower = config.get("text_config") or config, config.get("vision_config") or {}
        heads, width = int(text["num_attention_heads"]), int(text["hidden_size"])
        model_type, layers = str(config["model_type"]), int(text["num_hidden_layers"])
        window = int(text.get("sliding_window") or 0)
        usual = HEAD_OF_GEMMA if model_type.startswith("gemma3") else width // heads
        made = cls(
            model_type=model_type,
            layers=layers,
            near=(text.get("layer_types") or []).count("sliding_attention") if window else 0,
            window=window,
            width=width,
            inner=int(text["intermediate_size"]),
            heads=heads,
            kv_heads=int(text.get("num_key_value_heads") or heads),
            head=int(text.get("head_dim") or usual),
            vocabulary=int(text["vocab_size"]),
            parameters=int(sum(parameters.values())),
            seeing=sum(count for name, count in parameters.items() if "vision_tower" in name or "projector" in name),
            side=int(tower.get("image_size") or (USUAL_SIDE if tower else 0)),
            patch=max(1, int(tower.get("patch_size") or USUAL_PATCH)),
            tower_width=int(tower.get("hidden_size") or 0),
            tower_inner=int(tower.get("intermediate_size") or 0),
            image_tokens=int(config.get("mm_tokens_per_image") or USUAL_IMAGE_TOKENS) + MARKS if tower else 0,
        )
        least = min(made.layers, made.width, made.inner, made.heads, made.kv_heads, made.head, made.vocabulary)
        if min(least, made.parameters) < 1:
            raise ValueError("A decoder has a layer, a width and a vocabulary.")
        return made

    @property
    def pixels(self) -> int:
        """Numbers of an image."""
        return 3 * self.side**2

    @property
    def patches(self) -> int:
        return int((self.side // self.patch) ** 2)

    @property
    def norms(self) -> int:
        return NORMS.get(self.model_type, USUAL_NORMS)[0]

    @property
    def queries(self) -> int:
        """The width of all heads together."""
        return self.heads * self.head

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head

    @property
    def normed_heads(self) -> int:
        """The width of queries and keys that are normed."""
        return self.queries + self.keys if NORMS.get(self.model_type, USUAL_NORMS)[1] else 0

    @property
    def projections(self) -> int:
        """Numbers in the matrices of all layers."""
        return self.layers * (2 * self.width * (self.queries + self.keys) + 3 * self.width * self.inner)

    @property
    def adapter(self) -> int:
        """Parameters of LoRA on all of them, for each rank."""
        return self.layers * (4 * self.width + 2 * self.queries + 2 * self.keys + 3 * (self.width + self.inner))

    @property
    def embedding(self) -> int:
        return self.vocabulary * self.width


def count_parameters(folder: Path) -> dict[str, int]:
    """By the names of the tensors, as many as they are once unpacked: the headers of the files are read in no time.
    Raises ValueError or OSError for what is no such file."""
    return {
        name: PACKED.get(name[-7:], 1) * math.prod(one["shape"])
        for path in folder.glob("*.safetensors")
        for name, one in read_header(path)[1].items()
    }
