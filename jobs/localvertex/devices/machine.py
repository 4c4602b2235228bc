"""A machine as far as it matters to where a model is trained and served. Sizes are in bytes."""

from dataclasses import dataclass

CPU, CUDA, MPS, METAL, OTHER = "cpu", "cuda", "mps", "metal", "other"


@dataclass(frozen=True)
class Card:
    """One GPU of NVIDIA's. `id` is what CUDA_VISIBLE_DEVICES calls it; `capability` is its compute capability."""

    id: str
    name: str
    total: int
    free: int
    capability: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Machine:
    """`torch`: what PyTorch was built for, empty where it is not installed; `cuda`: the version that it was built with.
    `llama`: the same of llama.cpp. `has_apple_gpu`: it shares the machine's memory. `macos` is (0, 0) elsewhere."""

    cards: tuple[Card, ...] = ()
    torch: str = CPU
    cuda: tuple[int, int] = (0, 0)
    llama: str = CPU
    has_apple_gpu: bool = False
    macos: tuple[int, int] = (0, 0)
    has_flash_attention: bool = False
    has_bitsandbytes: bool = False
    hidden: int = 0  # cards that CUDA_VISIBLE_DEVICES leaves out
