"""What a training takes, by the shape of its model and the length of its rows: known before anything is loaded.

The sums follow what the forward passes keep for the backward pass, tensor by tensor: those of
`engine/fast` for LoRA on Gemma 3, and transformers' for everything else. docs/performance.md has
what they are beside measured peaks.

On a graphics card, nothing was measured. There, the process has no part in it, but a context of CUDA has.
Autocast keeps bf16 copies of f32 weights until a step ends (PyTorch, "Automatic Mixed Precision
package"), and layers whose values are computed again keep what goes into them, and one of them all
(Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.localvertex.memory.shape import Shape

MEGABYTE = 2**20
# Python with torch, transformers and peft, and what they load at their first use.
PROCESS_BYTES = 460 * MEGABYTE
HALF, SINGLE = 2, 4
# Weight, gradient and the two moments of AdamW, all in f32.
TRAINED = 4 * SINGLE
FAST = ("gemma3", "gemma3_text")
# What a weight of a projection takes, its scales included.
QUANTIZED = {"4bit": 0.56, "8bit": 1.06}
# As `engine/fast/loss.py` and `attention.py` cut them.
TOKENS_OF_LOSS, BLOCK = 128, 256


@dataclass(frozen=True)
class Row:
    """In tokens, those of its images among them; `answers` are those that are learned from."""

    length: int
    answers: int
    images: int = 0


@dataclass(frozen=True)
class Method:
    """`base`: bytes of a number of a frozen base. `is_plain`: without rows that have images. `checkpoints`: the values
    of layers are computed again in the backward pass. `process`: what there is without a model."""

    mode: str
    rank: int = 16
    quantization: str | None = None
    base: int = HALF
    is_plain: bool = True
    on_gpu: bool = False
    checkpoints: bool = False
    process: int = PROCESS_BYTES

    @property
    def computes_in_half(self) -> bool:
        """By autocast, whatever the weights are in."""
        return self.on_gpu and self.base == HALF

    @property
    def is_full(self) -> bool:
        return self.mode == "FULL"


@dataclass(frozen=True)
class Training:
    shape: Shape
    method: Method

    def peak(self, rows: Sequence[Row], batch: int) -> int:
        """Bytes, at the highest, where rows of about one length make a step, as the trainer puts them."""
        ordered = sorted(rows, key=lambda row: row.length, reverse=True)
        steps = (self.step(ordered[start : start + batch]) for start in range(0, len(ordered), batch))
        return self.fixed + max(self.saving, max(steps, default=0))

    @property
    def fixed(self) -> int:
        """All that lasts, but not what a step takes."""
        process = self.method.process
        if self.method.is_full:
            return process + self.frozen * SINGLE + self.learned * (TRAINED - SINGLE)
        return process + self.of_base + self.shape.adapter * self.method.rank * TRAINED

    @property
    def of_base(self) -> int:
        kept = QUANTIZED.get(self.method.quantization or "", self.method.base)
        rest = self.shape.parameters - self.shape.projections
        return int(self.shape.projections * kept + rest * self.method.base)

    @property
    def learned(self) -> int:
        return self.shape.parameters - self.shape.seeing

    @property
    def frozen(self) -> int:
        return self.shape.seeing

    @property
    def saving(self) -> int:
        """At the end: the adapter is added to weights that were quantised by those that were not. A full tuning has all
        gradients, and reads its checkpoint once more: both in the memory of the machine, but for gradients on a card.
        """
        if self.method.on_gpu:
            return self.learned * SINGLE + self._copies if self.method.is_full else 0
        if self.method.is_full:
            return self.learned * 2 * SINGLE
        return self.shape.parameters * HALF if self.method.quantization else 0

    @property
    def is_fast(self) -> bool:
        method = self.method
        plain = method.is_plain and not method.quantization and not method.on_gpu
        return not method.is_full and plain and self.shape.model_type in FAST

    def step(self, rows: Sequence[Row]) -> int:
        """Of one step on these rows. What the frozen tower computes is gone before the language model begins."""
        images = sum(row.images for row in rows)
        shown = images * self.shape.pixels * SINGLE
        return shown + max(images * self._image, self._copies + self.kept(rows) + self.passing(rows))

    @property
    def _image(self) -> int:
        """Of the largest part of a layer of the tower: the pixels once more, and around the hidden layer what goes in,
        what is added to it, and both sides of the activation."""
        shape, size = self.shape, SINGLE if self.method.is_full else self.method.base
        return size * (shape.pixels + shape.patches * 2 * (shape.tower_width + shape.tower_inner))

    @property
    def _copies(self) -> int:
        """Of f32 weights in bf16, which a card computes in."""
        return self.shape.parameters * HALF if self.method.computes_in_half and self.method.is_full else 0

    def kept(self, rows: Sequence[Row]) -> int:
        """By the forward pass for the backward pass."""
        longest = max(row.length for row in rows)
        if self.is_fast:
            tokens = sum(row.length for row in rows)
            return self._fast_layers(tokens, _answers(rows)) + self._fast_attention(tokens, longest)
        tokens, logits = len(rows) * longest, _answers(rows) * self.shape.vocabulary * SINGLE
        if self.method.checkpoints:
            size = HALF if self.method.computes_in_half else SINGLE
            return tokens * (self.shape.layers * self.shape.width * size + self._token // self.shape.layers) + logits
        return tokens * self._token + self._masks(rows, longest) + logits

    def _masks(self, rows: Sequence[Row], longest: int) -> int:
        """Of each layer, where what a token looks at is more than what is before it: images, or padding."""
        if self.method.on_gpu or not (self.shape.side or any(row.length != longest for row in rows)):
            return 0
        size = SINGLE if self.method.is_full else self.method.base
        return self.shape.layers * len(rows) * longest**2 * size

    def passing(self, rows: Sequence[Row]) -> int:
        """While all that is still there: two gradients of the logits, and that of the vocabulary in a full tuning."""
        if self.is_fast:
            return self.method.base * TOKENS_OF_LOSS * self.shape.vocabulary
        gradients = self.shape.embedding * SINGLE if self.method.is_full else 0
        return _answers(rows) * self.shape.vocabulary * 2 * SINGLE + gradients

    @property
    def _token(self) -> int:
        shape, method = self.shape, self.method
        inputs = 2 * shape.width + shape.queries + shape.inner
        normed = shape.norms * shape.width + shape.normed_heads
        if method.is_full:
            size = HALF if method.computes_in_half else SINGLE
            norms, linears = 2 * SINGLE * normed, size * inputs
        elif method.computes_in_half:
            norms, linears, size = SINGLE * normed, HALF * (inputs + 3 * shape.width), HALF
        elif method.base == HALF:
            # Each adapter widens its own copy of what it reads.
            norms, linears, size = SINGLE * normed, SINGLE * (inputs + 3 * shape.width), HALF
        else:
            norms, linears, size = SINGLE * normed, SINGLE * inputs, SINGLE
        gated, attention = 3 * size * shape.inner, 4 * size * shape.queries
        return shape.layers * (norms + linears + gated + attention)

    def _fast_layers(self, tokens: int, answers: int) -> int:
        """The last layer goes on with what comes before an answer only."""
        shape, rank = self.shape, self.method.rank
        before = 2 * shape.width + 2 * shape.queries + 3 * shape.keys + 3 * rank
        after = 4 * shape.width + shape.queries + 4 * shape.inner + 4 * rank
        whole = (shape.layers - 1) * (before + after) + before
        return self.method.base * (tokens * whole + answers * after)

    def _fast_attention(self, tokens: int, longest: int) -> int:
        """The weights of each query for the keys of its block."""
        whole = min(tokens, BLOCK) if longest <= BLOCK else (longest + BLOCK) // 2
        near = min(whole, self.shape.window + BLOCK // 2) if longest > self.shape.window else whole
        keys = self.shape.near * near + (self.shape.layers - self.shape.near) * whole
        return self.method.base * self.shape.heads * tokens * keys


def _answers(rows: Sequence[Row]) -> int:
    return sum(row.answers for row in rows)
