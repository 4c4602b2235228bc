import pytest

from jobs.localvertex.inference import Asked, match
from tests.jobs.localvertex.servers import PARENT, TINY_NAME

ENDPOINT = f"{PARENT}/endpoints/e"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (f"/v1/{ENDPOINT}/chat/completions", Asked(ENDPOINT, "chat_completions")),
        (f"/v1beta1/{ENDPOINT}/completions", Asked(ENDPOINT, "completions")),
        (f"/v1/{ENDPOINT}/invoke/v1/completions", Asked(ENDPOINT, "completions")),
        (f"/v1/{ENDPOINT}/deployedModels/7/invoke/v1/chat/completions", Asked(ENDPOINT, "chat_completions", "7")),
        (f"/v1/{ENDPOINT}:streamRawPredict", Asked(ENDPOINT, "stream_raw_predict")),
        (f"/v1/{PARENT}/{TINY_NAME}:generateContent", Asked(f"{PARENT}/{TINY_NAME}", "generate_content")),
    ],
)
def test_what_a_model_answers(path, asked):
    assert match(path) == asked


@pytest.mark.parametrize(
    "path",
    [
        f"/ui/{ENDPOINT}:predict",
        f"/v1/{ENDPOINT}",
        f"/v1/{ENDPOINT}:deployModel",
        f"/v1/{ENDPOINT}/invoke/v1:predict",
        f"/v1/{ENDPOINT}/invoke/completions",
        f"/v1/{ENDPOINT}/deployedModels/7/completions",
        f"/v1/{PARENT}/models/m:predict",
        f"/v1/{PARENT}/{TINY_NAME}/chat/completions",
        f"/v1/{TINY_NAME}:generateContent",
    ],
)
def test_what_is_another_call(path):
    assert match(path) is None


def test_the_model_of_the_catalogue_stands_in_the_body_of_two_calls_only():
    openapi = f"{PARENT}/endpoints/openapi"
    methods = ("chat_completions", "completions", "predict", "generate_content")
    assert [Asked(openapi, method).is_openapi for method in methods] == [True, True, False, False]
    assert not Asked(ENDPOINT, "completions").is_openapi
