import pytest

from jobs.services.catalogue.purposes import Purpose, find_purpose

CHAT = {"instances": [{"@requestFormat": "chatCompletions", "messages": []}]}


@pytest.mark.parametrize(
    ("name", "sample", "purpose"),
    [
        ("google/gemma3@gemma-3-1b-it", {}, Purpose.TEXT),
        ("google/gemma3@gemma-3-1b-it", {"@requestFormat": "chatCompletions", "max_tokens": 100}, Purpose.TEXT),
        ("some/new-kind@1", {"instances": [{"prompt": "Hi", "max_tokens": 5}]}, Purpose.TEXT),
        ("some/new-kind@1", {"instances": [{"prompt": "Hi"}], "parameters": {"max_new_tokens": 5}}, Purpose.TEXT),
        ("some/new-kind@1", {"instances": [{"prompt": "A horse"}]}, Purpose.OTHER),
        ("some/new-kind@1", {"instances": "?"}, Purpose.OTHER),
        ("stability-ai/stable-diffusion-2-1@001", {}, Purpose.IMAGE_GENERATION),
        ("stability-ai/stable-diffusion-2-1@001", {"instances": [{"prompt": "A horse"}]}, Purpose.IMAGE_GENERATION),
        ("google/embeddinggemma@embeddinggemma-300m", {}, Purpose.EMBEDDING),
        ("intfloat/multilingual-e5@multilingual-e5-large", {"instances": [{"inputs": "Hi"}]}, Purpose.EMBEDDING),
        ("google/timesfm@timesfm-2.0", {}, Purpose.OTHER),
        ("some/embedded-assistant@1", CHAT, Purpose.TEXT),
        ("local/my-embedded@mine", {}, Purpose.TEXT),
    ],
)  # fmt: skip
def test_what_a_model_is_for(name, sample, purpose):
    assert find_purpose(name, sample) == purpose
