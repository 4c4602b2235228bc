"""Where on a machine a training takes place, and whose memory it takes there: known to whoever asks before it starts,
and decided by the engine when it does. A model is served from the memory of cards and of the machine together."""

from collections.abc import Callable
from dataclasses import replace

from jobs.localvertex.devices.choice import (
    BFLOAT16,
    CUDA_CONTEXT,
    Training as Chosen,
    choose_for_training,
    free_for_serving,
)
from jobs.localvertex.devices.machine import CPU, CUDA, Machine
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.memory.training import HALF, SINGLE, TRAINED, Method

# Of a base model: NF4 with the scales of its blocks, or whole bytes; the vocabulary stays as it is.
SHARE_OF_BF16 = {"4bit": 0.35, "8bit": 0.6}
ROOM = 1.2  # for the adapter and the values of a short batch


def choose_by_size(parameters: int, mode: str, quantization: str | None, machine: Machine) -> Chosen:
    if mode == "FULL":  # in f32 on every card
        return choose_for_training(machine, round(parameters * TRAINED * ROOM), is_exact=True)
    share = SHARE_OF_BF16.get(quantization or "", 1.0)
    needed = round(parameters * HALF * share * ROOM)
    return choose_for_training(machine, needed, is_quantized=quantization is not None)


def method_on(on: Chosen, method: Method) -> Method:
    """On the card that was chosen, whose base is in bf16 or in f32."""
    if on.device != CUDA:
        return method
    base = HALF if on.dtype == BFLOAT16 else SINGLE
    return replace(
        method, base=base, on_gpu=True, checkpoints=on.checkpoints, flashes=on.is_packed, process=CUDA_CONTEXT
    )


def find_free(on: Chosen, of_machine: int | None) -> tuple[int | None, str]:
    """Bytes that are free there, and the name of the card, empty for the memory of the machine. None where nothing is
    known, such as what Apple's GPU takes of it."""
    if on.card:
        return on.card.free, on.card.name
    return (of_machine if on.device == CPU else None), ""


def free_with_cards(look: Callable[[], Machine], free: Callable[[], int | None] = free_memory) -> int | None:
    """Bytes for a model server that leaves to the processor what no card has room for."""
    of_machine = free()
    return None if of_machine is None else of_machine + free_for_serving(look())
