import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.source import LocalFiles, Repository, parse_source


@pytest.mark.parametrize(
    ("text", "revision", "found"),
    [
        ("Qwen/Qwen3-0.6B", "", Repository("Qwen/Qwen3-0.6B", "main")),
        (" Qwen/Qwen3-0.6B ", "v1", Repository("Qwen/Qwen3-0.6B", "v1")),
        ("https://huggingface.co/Qwen/Qwen3-0.6B", "", Repository("Qwen/Qwen3-0.6B", "main")),
        ("https://hf.co/Qwen/Qwen3-0.6B/", "", Repository("Qwen/Qwen3-0.6B", "main")),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/v1", "", Repository("Qwen/Qwen3-0.6B", "v1")),
        ("https://huggingface.co/a/b/blob/refs%2Fpr%2F1/config.json", "", Repository("a/b", "refs/pr/1")),
        ("https://huggingface.co/a/b/tree/v1", "v2", Repository("a/b", "v2")),
    ],
)
def test_a_repository_is_named_by_its_name_or_address(text, revision, found):
    assert parse_source(text, revision) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "gpt2", "a/b/c", "../a", "a/..", "a--b/c", "a/b..c", "-a/b", "a/b-", "a b/c", "a/b\x00", "선/택",
        "/a\x00", "/a\nb", "/\ud800",
        "x" * 200 + "/b",
        "https://evil.example/a/b", "https://huggingface.co/datasets/a/b", "https://huggingface.co/a", "http://[/a/b",
        "https://huggingface.co@evil.example/a/b", "file:///etc/passwd", "https://huggingface.co/a/b/tree/..%2f..",
    ],
)  # fmt: skip
def test_what_is_no_repository_is_a_sentence(text):
    with pytest.raises(ApiError) as found:
        parse_source(text)
    assert found.value.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize("revision", ["a b", "..", "a/../b", "-x", "x" * 300, "\x00"])
def test_what_is_no_revision_is_a_sentence(revision):
    with pytest.raises(ApiError):
        parse_source("a/b", revision)


def test_a_hub_of_ones_own_has_its_address(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/")
    assert parse_source("http://127.0.0.1:9/a/b") == Repository("a/b", "main")


def test_a_path_is_one_of_this_machine(tmp_path):
    source = parse_source(str(tmp_path / "My Model (1)"))
    assert isinstance(source, LocalFiles)
    assert source.family == "local/my-model-1"


def test_names_are_vertex_ais():
    assert Repository("Qwen/Qwen3-0.6B").family == "hf-qwen/qwen3-0.6b"
