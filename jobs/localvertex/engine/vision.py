"""Pictures of training rows as llama.cpp sees them: that, and not what transformers' processor makes, is served."""

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from jobs.localvertex.engine.families.table import SEEING
from jobs.localvertex.engine.rows import IMAGE

if TYPE_CHECKING:
    import torch

SOFT_TOKEN, IMAGE_END = "<image_soft_token>", "<end_of_image>"


@dataclass(frozen=True)
class Vision:
    """How the model of a folder takes pictures: squares of `side` pixels that become `tokens` tokens."""

    side: int
    tokens: int
    image_token: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def read(cls, folder: Path) -> "Vision | None":
        """None where the model reads text only here. Without the model class, which takes seconds to import."""
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if "vision_config" not in config or config.get("model_type", SEEING[0]) not in SEEING:
            return None
        mean, deviation = image_statistics(folder)
        return cls(
            side=config["vision_config"].get("image_size", 224),
            tokens=config.get("mm_tokens_per_image", 256),
            image_token=config.get("image_token_index", 262_144),
            mean=tuple(mean),
            deviation=tuple(deviation),
        )

    @property
    def image_tokens(self) -> str:
        return IMAGE + SOFT_TOKEN * self.tokens + IMAGE_END

    def fit_image(self, content: bytes) -> Image.Image:
        """The whole picture in the middle of a black square. Transparency is ignored, not painted."""
        image = Image.open(io.BytesIO(content)).convert("RGB")
        scale = self.side / max(image.size)
        size = [min(self.side, math.ceil(length * scale)) for length in image.size]
        square = Image.new("RGB", (self.side, self.side))
        place = ((self.side - size[0]) // 2, (self.side - size[1]) // 2)
        square.paste(image.resize((size[0], size[1]), Image.Resampling.BILINEAR), place)
        return square

    def pixels(self, content: bytes) -> "torch.Tensor":
        import numpy as np  # noqa: PLC0415 - who only counts tokens need not wait for torch
        import torch  # noqa: PLC0415

        values = torch.from_numpy(np.asarray(self.fit_image(content), dtype=np.float32) / 255.0).permute(2, 0, 1)
        mean, deviation = torch.tensor(self.mean), torch.tensor(self.deviation)
        return (values - mean[:, None, None]) / deviation[:, None, None]


def image_statistics(folder: Path) -> tuple[list[float], list[float]]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            stored = json.loads((folder / name).read_text(encoding="utf-8"))
            stored = stored.get("image_processor", stored)
            if "image_mean" in stored:
                return stored["image_mean"], stored["image_std"]
    return [0.5] * 3, [0.5] * 3
