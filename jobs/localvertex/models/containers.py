"""Containers of model servers: which model their arguments name. Nothing of an image is ever run here."""

import re
from collections.abc import Container, Iterator, Sequence

from google.cloud.aiplatform_v1beta1.types import ModelContainerSpec

from jobs.localvertex.api.errors import ApiError, invalid, precondition
from jobs.localvertex.storage.buckets import uri_of

SERVER_IMAGE = "llama.cpp"
# Of a conversation, in tokens: as usual, and at the least.
CONTEXT_TOKENS, LEAST_CONTEXT = 8192, 512
LONGEST_NUMBER = 10
_SERVERS = re.compile(
    rf"(^|[/_.-])(vllm|sglang|text-generation-inference|tgi|hex-?llm|huggingface|{re.escape(SERVER_IMAGE)})"
    r"(?=[/_.:@-]|$)",
    re.IGNORECASE,
)
_OPTIONS = ("--model", "--model-path", "--model_path", "--model-id", "--model_id")
_VARIABLES = ("MODEL_ID", "MODEL", "MODEL_PATH")
# As vLLM, SGLang, Text Generation Inference and llama.cpp call the longest conversation, in tokens.
_CONTEXTS = ("--max-model-len", "--max_model_len", "--context-length", "--max-total-tokens", "--ctx-size")
_STORAGE_URI = re.compile(r"\$[({]?AIP_STORAGE_URI[)}]?")


def find_named_model(spec: ModelContainerSpec, artifact_uri: str) -> str:
    """A folder as `gs://…`, or the name of a model; empty when none is named, or by no model server's image."""
    if not _SERVERS.search(spec.image_uri):
        return ""
    found = next(_values([*spec.command, *spec.args], _OPTIONS), "")
    if not found:
        variables = {one.name: one.value for one in spec.env}
        found = next((variables[name] for name in _VARIABLES if variables.get(name)), "")
    return uri_of(_STORAGE_URI.sub(artifact_uri, found))


def never_ready(name: str, image: str) -> ApiError:
    return precondition(
        f"Model server never became ready. Please validate that your model file or container configuration are valid."
        f" {name} names the container {image or 'none'}: this server runs no containers. It serves what the arguments"
        f" of vLLM, SGLang and Text Generation Inference name (--model, --model-path, --model-id), or its artifact_uri."
    )


def find_context(spec: ModelContainerSpec, field: str) -> int:
    """In tokens, as the arguments ask for it, but no more than is served here; as usual where they don't."""
    found = next(_values([*spec.command, *spec.args], _CONTEXTS), "")
    if not found:
        return CONTEXT_TOKENS
    if not (found.isascii() and found.isdecimal() and len(found) < LONGEST_NUMBER and int(found) >= LEAST_CONTEXT):
        raise invalid(f"{field} must ask for a context of at least {LEAST_CONTEXT} tokens, not {found[:40]!r}.", field)
    return min(int(found), CONTEXT_TOKENS)


def _values(arguments: Sequence[str], options: Container[str]) -> Iterator[str]:
    """`--model=value` and `--model value`."""
    for at, text in enumerate(arguments):
        option, equals, value = text.partition("=")
        if option in options:
            yield value if equals else next(iter(arguments[at + 1 :]), "")
