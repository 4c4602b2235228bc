"""What a training takes, by the shape of its model and the length of its rows: known before anything is loaded.

The sums follow what the forward passes keep for the backward pass, tensor by tensor: those of
`engine/fast` for LoRA on its decoders, and transformers' for everything else, which packs rows where
it can. docs/performance.md has what they are beside measured peaks.

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
# Model types of transformers whose layers `engine/fast/decoder.py` has, and those whose own forward pass takes rows one
# after another: their layers mix tokens in their attention only, which they leave to what is registered for it.
DECODERS = ("gemma3_text", "llama", "mistral", "qwen2", "qwen3", "smollm3")
PACKED = (*DECODERS, "phi3", "gemma4_text", "gpt_oss")
# What a weight of a projection takes, its scales included.
QUANTIZED = {"4bit": 0.56, "8bit": 1.06}
# As `engine/fast/loss.py` and `attention.py` cut them.
TOKENS_OF_LOSS, FEW, BLOCK, KEPT = 256, 1 / 4, 256, 512


@dataclass(frozen=True)
class Row:
    """In tokens, those of its images among them; `answers` are those that are learned from."""

    length: int
    answers: int
    images: int = 0


@dataclass(frozen=True)
class Method:
    """`base`: bytes of a number of a frozen base. `is_plain`: without rows that have images. `checkpoints`: the values
    of layers are computed again in the backward pass. `flashes`: by flash attention, which takes rows one after another
    on a card. `process`: what there is without a model."""

    mode: str
    rank: int = 16
    quantization: str | None = None
    base: int = HALF
    is_plain: bool = True
    on_gpu: bool = False
    checkpoints: bool = False
    flashes: bool = False
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
            return self.learned * SINGLE + self.copies if self.method.is_full else 0
        if self.method.is_full:
            return self.learned * 2 * SINGLE
        return self.shape.parameters * HALF if self.method.quantization else 0

    @property
    def is_fast(self) -> bool:
        """By forward and backward passes of its own."""
        method = self.method
        known = self.shape.model_type in (*DECODERS, "gemma3")
        return known and not method.is_full and not method.quantization and self._is_flat

    @property
    def is_packed(self) -> bool:
        """By the forward pass of transformers, with rows one after another. There, gpt-oss' sinks get no gradient."""
        known = self.shape.model_type in PACKED and not (self.method.is_full and self.shape.model_type == "gpt_oss")
        return known and not self.is_fast and self._is_flat

    @property
    def is_padded(self) -> bool:
        flashes = self.method.flashes and not self.shape.side
        return not (self.is_fast or self.is_packed or flashes)

    @property
    def _is_flat(self) -> bool:
        return self.method.is_plain and not self.method.on_gpu

    def step(self, rows: Sequence[Row]) -> int:
        """Of one step on these rows. What the frozen tower computes is gone before the language model begins."""
        images = sum(row.images for row in rows)
        of_text = self.copies + self.count_kept(rows) + self.count_passing(rows)
        return images * self.of_pixels + max(images * self.of_image, of_text)

    @property
    def of_pixels(self) -> int:
        return self.shape.pixels * SINGLE

    @property
    def of_image(self) -> int:
        """Of the largest part of a layer of the tower: the pixels once more, and around the hidden layer what goes in,
        what is added to it, and both sides of the activation."""
        shape, size = self.shape, SINGLE if self.method.is_full else self.method.base
        return size * (shape.pixels + shape.patches * 2 * (shape.tower_width + shape.tower_inner))

    @property
    def copies(self) -> int:
        """Of f32 weights in bf16, which a card computes in."""
        return self.shape.parameters * HALF if self.method.computes_in_half and self.method.is_full else 0

    def count_kept(self, rows: Sequence[Row]) -> int:
        """By the forward pass for the backward pass."""
        tokens = sum(row.length for row in rows)
        if self.is_fast:
            return self._fast_layers(tokens, _answers(rows)) + self._weights(rows, self.method.base)
        of_logits = _answers(rows) * self.shape.vocabulary * SINGLE
        if self.is_packed:
            return tokens * self._token + self._weights(rows, self._size) + of_logits
        longest = max(row.length for row in rows)
        taken = len(rows) * longest if self.is_padded else tokens
        of_token, masks = self._token, self._masks(rows, longest)
        if self.method.checkpoints:
            of_token = self.shape.layers * self.shape.width * self._size + self._token // self.shape.layers
        return taken * of_token + masks + of_logits

    def _masks(self, rows: Sequence[Row], longest: int) -> int:
        if not (self.shape.side or any(row.length != longest for row in rows)):
            return 0
        return len(rows) * longest**2 * self.mask

    @property
    def mask(self) -> int:
        """Of each layer whose values are kept, for each token that a token may look at, where that is more than what is
        before it: images, or padding. PyTorch's attention keeps it for its backward pass, on a card, too."""
        layers = 1 if self.method.checkpoints else self.shape.layers
        return layers * self._size if self.is_padded else 0

    def count_passing(self, rows: Sequence[Row]) -> int:
        """While all that is still there: two gradients of the logits, and that of the vocabulary in a full tuning."""
        if self.is_fast:
            return int((1 + FEW) * self.method.base * TOKENS_OF_LOSS * self.shape.vocabulary)
        gradients = self.shape.embedding * SINGLE if self.method.is_full else 0
        return _answers(rows) * self.shape.vocabulary * 2 * SINGLE + gradients

    @property
    def _size(self) -> int:
        if self.method.computes_in_half:
            return HALF
        return SINGLE if self.method.is_full else self.method.base

    @property
    def _token(self) -> int:
        shape, method, size = self.shape, self.method, self._size
        inputs = 2 * shape.width + shape.queries + shape.inner
        norms = SINGLE * (shape.norms * shape.width + shape.normed_heads) * (2 if method.is_full else 1)
        linears = size * inputs
        if size == HALF and not method.is_full and (method.quantization or not self.is_packed):
            # Each adapter of peft widens its own copy of what it reads, but on a card.
            linears = (HALF if method.computes_in_half else SINGLE) * (inputs + 3 * shape.width)
        attention = size * (shape.queries + 2 * shape.keys if self.is_packed else 4 * shape.queries)
        return shape.layers * (norms + linears + 3 * size * shape.inner + attention)

    def _fast_layers(self, tokens: int, answers: int) -> int:
        """The last layer goes on with what comes before an answer only."""
        shape, rank = self.shape, self.method.rank
        before = 2 * shape.width + shape.queries + 2 * shape.keys + shape.normed_heads + 3 * rank
        after = shape.norms * shape.width + shape.queries + 4 * shape.inner + 4 * rank
        whole = (shape.layers - 1) * (before + after) + before
        return self.method.base * (tokens * whole + answers * after)

    def _weights(self, rows: Sequence[Row], size: int) -> int:
        """Of each query for the keys of its block, in all layers."""
        shape, lengths = self.shape, [row.length for row in rows]
        whole, near = _count_weights(lengths, 0), _count_weights(lengths, shape.window)
        return size * shape.heads * (shape.near * near + (shape.layers - shape.near) * whole)


def _count_weights(lengths: Sequence[int], window: int) -> int:
    """Of a head. Short rows share blocks; what a long row has in blocks of many keys isn't kept."""
    short = sum(length for length in lengths if length <= BLOCK)
    count = short * min(short, BLOCK)
    for length in lengths:
        for first in range(0, length if length > BLOCK else 0, BLOCK):
            queries = min(BLOCK, length - first)
            keys = min(first, window - 1 if 0 < window < max(lengths) else first) + queries
            count += queries * keys if keys <= KEPT else 0
    return count


def _answers(rows: Sequence[Row]) -> int:
    return sum(row.answers for row in rows)
