import pytest

from jobs.services.catalogue.hub import spec


@pytest.mark.parametrize("source", ["Qwen/Qwen3-0.6B", "https://huggingface.co/Qwen/Qwen3-0.6B", "/srv/models/mine"])
def test_what_names_a_model(source: str) -> None:
    assert spec.why_not_source(source) == ""


@pytest.mark.parametrize("source", ["qwen", "a/b/c", "a b/c", "ftp://x/y", "../models", "선/x y"])
def test_what_names_none_says_what_to_enter(source: str) -> None:
    assert spec.why_not_source(source).startswith("Enter organization/model, such as Qwen/Qwen3-0.6B")


@pytest.mark.parametrize(("token", "is_fine"), [("hf_aB3", True), ("", True), ("hf aB3", False), ("hf_é", False)])
def test_a_token_can_be_sent_in_a_header(token: str, is_fine: bool) -> None:
    assert (spec.why_not_token(token) == "") is is_fine
