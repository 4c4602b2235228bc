"""Where a model is trained and where it is served on a machine, with the reason in a sentence."""

from dataclasses import dataclass

from jobs.localvertex.devices.machine import CPU, CUDA, METAL, MPS, OTHER, Card, Machine

GIGABYTE = 10**9
BF16_SINCE = (8, 0)  # compute capability: Ampere
BF16_SINCE_MACOS = (14, 0)
# PyTorch's builds with CUDA 13 have nothing for what came before Turing; those with CUDA 12 begin with Maxwell.
OLDEST = {13: (7, 5), 12: (5, 0)}
CUDA_CONTEXT = 600 * 2**20  # of every process on a card
LEFT_FREE = 2**30  # of each card, by llama.cpp, which leaves layers to the processor before (`--fit-target`)
BFLOAT16, FLOAT32 = "bfloat16", "float32"
FLASH, SDPA = "flash_attention_2", "sdpa"
# Of the free memory of a card: when the weights take more, the values of each layer are computed twice instead of kept.
KEPT_VALUES_UP_TO = 1 / 3
ALL_THAT_FIT, NONE = -1, 0  # layers of llama.cpp
GET_TORCH = "Run `make up CUDA=1` to install PyTorch's build for NVIDIA GPUs."
GET_LLAMA = "Install its build for CUDA, as docs/localvertex-models.md says under GPU."


@dataclass(frozen=True)
class Training:
    """`dtype` is empty where the processor's own speed decides. `is_packed`: rows one after another, without padding.
    `checkpoints`: the values of layers are computed again in the backward pass."""

    device: str
    reason: str
    card: Card | None = None
    dtype: str = ""
    attention: str = SDPA
    is_packed: bool = False
    checkpoints: bool = False


@dataclass(frozen=True)
class Serving:
    device: str
    gpu_layers: int
    reason: str


def choose_for_training(
    machine: Machine, needed: int = 0, *, is_quantized: bool = False, is_exact: bool = False
) -> Training:
    """`needed`: bytes of the weights and what belongs to them; 0: unknown. It is the same on every card where they are
    quantised or `is_exact`, which is f32; else in bf16, and twice as much on a card without.

    A training takes one card: of those that it fits on, one with bf16 before others, then the one with the most free
    memory."""
    if machine.cards:
        return _on_cards(machine, needed, is_fixed=is_quantized or is_exact)
    if machine.has_apple_gpu:
        return _on_apple(machine, is_quantized)
    return Training(CPU, _without_cards(machine))


def choose_for_serving(machine: Machine) -> Serving:
    """llama.cpp itself spreads the layers over all cards, as many as fit, and leaves the rest to the processor."""
    if machine.llama not in (CPU, ""):
        what = "Apple's GPU" if machine.llama == METAL else _names(machine.cards) or "the GPU"
        return Serving(machine.llama, ALL_THAT_FIT, f"llama.cpp serves as many layers as fit on {what}.")
    if machine.cards:
        names = _names(machine.cards)
        return Serving(CPU, NONE, f"{names} can't be used for serving: llama.cpp is built for CPUs. {GET_LLAMA}")
    return Serving(CPU, NONE, _without_cards(machine))


def list_cards_for_serving(machine: Machine) -> tuple[Card, ...]:
    """Those that have memory of their own, which is taken before that of the machine."""
    return machine.cards if machine.llama == CUDA else ()


def memory_for_serving(machine: Machine) -> int:
    """Bytes of the cards that llama.cpp can use beside the memory of the machine."""
    return sum(max(0, card.total - CUDA_CONTEXT) for card in list_cards_for_serving(machine))


def free_for_serving(machine: Machine) -> int:
    """Those of them that one more model would get now."""
    return sum(max(0, card.free - CUDA_CONTEXT - LEFT_FREE) for card in list_cards_for_serving(machine))


def _on_cards(machine: Machine, needed: int, *, is_fixed: bool) -> Training:
    if machine.torch != CUDA:
        what = "isn't installed" if not machine.torch else "is built for CPUs"
        return Training(CPU, f"{_names(machine.cards)} can't be used for training: PyTorch {what}. {GET_TORCH}")
    oldest = OLDEST.get(machine.cuda[0], (0, 0))
    able = [card for card in machine.cards if card.capability >= oldest]
    if not able:
        version = ".".join(map(str, machine.cuda))
        return Training(CPU, f"PyTorch's build with CUDA {version} no longer supports {_names(machine.cards)}.")
    roomy = [card for card in able if _need_on(card, needed, is_fixed) + CUDA_CONTEXT <= card.free]
    if not roomy:
        best = max(able, key=lambda card: card.free)
        need = _in_gigabytes(_need_on(best, needed, is_fixed) + CUDA_CONTEXT)
        return Training(
            CPU,
            f"The training needs about {need} GB on a GPU, and {_in_gigabytes(best.free)} GB are free on {best.name}."
            " Choose a smaller model, or a base model in 4 bits.",
        )
    card = max(roomy, key=lambda one: (one.capability >= BF16_SINCE, one.free))
    return _on_card(machine, card, _need_on(card, needed, is_fixed))


def _on_card(machine: Machine, card: Card, need: int) -> Training:
    has_bf16 = card.capability >= BF16_SINCE
    flashes = has_bf16 and machine.has_flash_attention
    why = f"{card.name} has {_in_gigabytes(card.free)} GB free"
    why += " and computes in bf16." if has_bf16 else " but doesn't compute in bf16, so weights take twice the memory."
    if others := tuple(one for one in machine.cards if one != card):
        why += f" A training takes one GPU and leaves {_names(others)} free."
    return Training(
        CUDA,
        why,
        card=card,
        dtype=BFLOAT16 if has_bf16 else FLOAT32,
        attention=FLASH if flashes else SDPA,
        is_packed=flashes,
        checkpoints=need > card.free * KEPT_VALUES_UP_TO,
    )


def _need_on(card: Card, needed: int, is_fixed: bool) -> int:
    return needed if is_fixed or card.capability >= BF16_SINCE else 2 * needed


def _on_apple(machine: Machine, is_quantized: bool) -> Training:
    if machine.torch != MPS:
        return Training(CPU, "Apple's GPU can't be used for training: this PyTorch isn't built for it.")
    if is_quantized:
        return Training(CPU, "bitsandbytes quantises on NVIDIA GPUs and CPUs, so Apple's GPU isn't used.")
    if machine.macos < BF16_SINCE_MACOS:
        return Training(
            MPS, "Apple's GPU is used. Before macOS 14 it doesn't compute in bf16, so weights take twice the memory.",
            dtype=FLOAT32,
        )  # fmt: skip
    return Training(MPS, "Apple's GPU is used, in bf16, with the memory of the machine.", dtype=BFLOAT16)


def _without_cards(machine: Machine) -> str:
    if machine.hidden:
        return "CUDA_VISIBLE_DEVICES hides every GPU, so the CPU is used."
    if machine.torch == OTHER:
        return "Only NVIDIA's and Apple's GPUs are used, so the CPU is."
    return "No GPU of NVIDIA's or Apple's was found, so the CPU is used."


def _names(cards: tuple[Card, ...]) -> str:
    return " and ".join(card.name for card in cards)


def _in_gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:.1f}"
