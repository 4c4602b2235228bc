"""What safetensors files hold, by their headers: whether they are whole, and of the model that the configuration says.

A repository may say of itself what it likes. Nothing of the weights is loaded here.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError, precondition
from jobs.localvertex.engine.families.table import Family
from jobs.localvertex.memory.headers import read_header

from .listing import INDEX

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
WEIGHTS = ("F16", "BF16", "F32")
DIVIDED = ("llama", "mistral", "qwen2")  # a head has its part of the hidden size, unless the configuration says more
_LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,5})\.(.+)\.weight$")
Shapes = dict[str, tuple[int, ...]]


def check_weights(folder: Path, config: Mapping[str, Any], family: Family) -> int:
    """How many numbers the weights are. Raises ApiError with the first tensor that is not what it should be."""
    files = sorted(folder.glob("*.safetensors"))
    shapes: Shapes = {}
    for path in files:
        for name, shape in read_shapes(path).items():
            if name in shapes:
                raise _bad(path.name, f"has {name[:100]}, which another file has, too")
            shapes[name] = shape
    _check_index(folder, shapes)
    check_shapes(shapes, config, family)
    return sum(math.prod(shape) for shape in shapes.values())


def read_shapes(path: Path) -> Shapes:
    """Raises ApiError for a header that is damaged, or does not agree with the file's size."""
    try:
        length, tensors = read_header(path)
        return dict(_read_all(path.name, tensors, path.stat().st_size - 8 - length))
    except (ValueError, KeyError, TypeError):
        raise _bad(path.name, "has a header that cannot be read") from None


def _read_all(file: str, tensors: Mapping[str, Any], size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """One after the other without a gap, as the format wants it."""
    at = 0
    for name, one in sorted(tensors.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        shape, (begin, end) = tuple(one["shape"]), one["data_offsets"]
        if not all(type(length) is int and length >= 0 for length in (*shape, begin, end)):
            raise ValueError(name)
        if begin != at or (end - begin) * 8 != math.prod(shape) * BITS[one["dtype"]]:
            raise _bad(file, f"says of {name[:100]} a size that it does not have")
        if one["dtype"] not in WEIGHTS and name.endswith(".weight"):
            raise _bad(
                file, f"has {name[:100]} as {one['dtype']}: quantized weights cannot be converted. Import the original"
            )
        at = end
        yield name, shape
    if at != size:
        raise _bad(file, f"has {size} bytes of weights where its header says {at}")


def _check_index(folder: Path, shapes: Shapes) -> None:
    path = folder / INDEX
    if not path.is_file():
        return
    try:
        listed = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _bad(INDEX, "cannot be read") from None
    if missing := sorted(listed - set(shapes)):
        raise _bad(INDEX, f"names {str(missing[0])[:100]}, which is in none of the files")


def check_shapes(shapes: Shapes, config: Mapping[str, Any], family: Family) -> None:
    """Of the layers and the vocabulary of what writes text."""
    text = text_of(config)
    wanted, layers = _list_wanted(text), text.get("num_hidden_layers")
    found = _layers(shapes)
    if type(layers) is int and (len(found) != layers or set(found) != set(range(layers))):
        raise _no_member(family, f"it has {len(found)} layers, and its config.json says {layers}")
    for number, layer in sorted(found.items()):
        for here, name in family.layer_tensors.items():
            if name not in layer:
                raise _no_member(family, f"layer {number} has no {name}")
            _check_shape(f"{name} of layer {number}", layer[name], wanted.get(here), family)
    vocabulary = next((name for name in shapes if name.endswith("embed_tokens.weight")), "")
    if not vocabulary:
        raise _no_member(family, "it has no embed_tokens")
    _check_shape(vocabulary, shapes[vocabulary], (text.get("vocab_size"), text.get("hidden_size")), family)


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a configuration says of the part that writes text: of a model that sees as well, it is a part of its own."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def _layers(shapes: Shapes) -> dict[int, Shapes]:
    """Without those that see."""
    layers: dict[int, Shapes] = {}
    for name, shape in shapes.items():
        found = _LAYER.search(name)
        if found and not re.search(r"vision|visual|audio|projector", name):
            layers.setdefault(int(found[1]), {})[found[2]] = shape
    return layers


def _list_wanted(text: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """By llama.cpp's names. None: of any length, where the configuration leaves it to the family's own default."""
    hidden, inner, heads = text.get("hidden_size"), text.get("intermediate_size"), text.get("num_attention_heads")
    keys = text.get("num_key_value_heads", heads)
    size = text.get("head_dim")
    if size is None and text.get("model_type") in DIVIDED and type(hidden) is int and type(heads) is int and heads:
        size = hidden // heads
    queries, values = _times(heads, size), _times(keys, size)
    return {
        "attn_q": (queries, hidden), "attn_k": (values, hidden), "attn_v": (values, hidden),
        "attn_output": (hidden, queries), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner), "attn_norm": (hidden,), "ffn_norm": (hidden,), "attn_q_norm": (size,),
        "attn_k_norm": (size,), "post_attention_norm": (hidden,), "post_ffw_norm": (hidden,),
    }  # fmt: skip


def _times(count: Any, size: Any) -> int | None:
    return count * size if type(count) is int and type(size) is int else None


def _check_shape(what: str, shape: Iterable[int], wanted: tuple[Any, ...] | None, family: Family) -> None:
    shape = tuple(shape)
    if wanted is None:
        return
    if len(shape) != len(wanted) or any(want not in (None, have) for have, want in zip(shape, wanted, strict=True)):
        said = " x ".join("?" if one is None else str(one) for one in wanted)
        raise _no_member(family, f"{what} is {' x '.join(map(str, shape))}, and by its config.json it is {said}")


def _no_member(family: Family, why: str) -> ApiError:
    return precondition(
        f"The weights are not those of the {family.title} model that config.json describes: {why}. Look for the"
        " repository of the model's publisher."
    )


def _bad(name: str, why: str) -> ApiError:
    return precondition(f"{name} {why}. The repository is damaged. Look for another one of the model.")
