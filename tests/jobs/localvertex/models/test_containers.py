import pytest
from google.cloud.aiplatform_v1beta1.types import ModelContainerSpec

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models.containers import find_context


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [
        ([], 8192),
        (["--max-model-len=4096"], 4096),
        (["--port", "8080", "--max-model-len", "2048"], 2048),
        (["--context-length=512"], 512),
        (["--ctx-size=131072"], 8192),
    ],
)
def test_the_context_that_is_asked_for(arguments, tokens):
    assert find_context(ModelContainerSpec(image_uri="vllm", args=arguments), "args") == tokens


@pytest.mark.parametrize("value", ["0", "511", "-1", "many", "", "9" * 30, "٤٠٩٦"])
def test_no_number_of_tokens(value):
    spec = ModelContainerSpec(image_uri="vllm", args=["--max-model-len", value] if value else ["--max-model-len= "])
    with pytest.raises(ApiError, match="args must ask for a context of at least 512 tokens"):
        find_context(spec, "args")
