"""Which files of a repository are taken."""

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.listing import Listing, RemoteFile, check_names, choose_files, default_gguf, keep_top


def make_listing(*names: str, size: int = 10) -> Listing:
    return Listing("x", "0", keep_top(RemoteFile(name, size) for name in names))


def names_of(*names: str, **options) -> list[str]:
    return [one.name for one in choose_files(make_listing(*names), "acme/x", **options)]


def refusal(*names: str, **options) -> str:
    with pytest.raises(ApiError) as found:
        names_of(*names, **options)
    return found.value.message


def test_weights_tokenizer_and_configuration_are_taken_and_no_code():
    wanted = ["config.json", "tokenizer.json", "LICENSE", "model-00001-of-00002.safetensors"]
    others = [
        "modeling_x.py", "pytorch_model.bin", "model.pt", "run.sh", "onnx/model.onnx", "x/consolidated.safetensors",
        "consolidated.safetensors", "README.md", ".gitattributes", "training_args.bin", "notes.json",
    ]  # fmt: skip
    assert sorted(names_of(*wanted, *others)) == sorted(wanted)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["config.json", "pytorch_model.bin"], "in Python's pickle format only"),
        (["README.md"], "has neither safetensors nor GGUF files"),
        (["adapter_config.json", "adapter_model.safetensors"], "holds an adapter, and not the model below it"),
        (["model.safetensors"], "has no config.json"),
        (["a-00001-of-00002.gguf"], "is a part of a model in several GGUF files"),
    ],
)
def test_what_cannot_be_taken_says_what_to_look_for(names, sentence):
    assert sentence in refusal(*names)


def test_of_gguf_files_one_is_taken_with_what_sees():
    names = ["a-Q8_0.gguf", "a-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"]
    assert names_of(*names) == ["a-Q4_K_M.gguf", "mmproj-F16.gguf"]
    assert names_of(*names, gguf="a-Q8_0.gguf") == ["a-Q8_0.gguf", "mmproj-F16.gguf"]
    assert "has no file 'b.gguf'" in refusal(*names, gguf="b.gguf")


def test_without_a_usual_quantization_the_smallest_is_proposed():
    files = (RemoteFile("a-F16.gguf", 20), RemoteFile("a-IQ2.gguf", 5))
    assert (default_gguf(Listing("x", "0", files)), default_gguf(make_listing())) == ("a-IQ2.gguf", "")


@pytest.mark.parametrize("name", ["../x.json", "a/../../x", "/etc/passwd", "\\x", "a\\..\\b", "a\nb", "\x00"])
def test_a_name_that_leads_elsewhere_ends_it(name):
    with pytest.raises(ApiError, match="which would lead out of its folder. Choose another one."):
        check_names(["config.json", name], "acme/x")


def test_a_text_that_is_far_too_large_is_refused():
    with pytest.raises(ApiError, match="config.json of acme/x has 95 MB, far more than such a file needs"):
        choose_files(make_listing("config.json", "model.safetensors", size=100_000_000), "acme/x")


def test_a_file_without_a_size_is_refused():
    with pytest.raises(ApiError, match="gives no size for"):
        choose_files(make_listing("config.json", "model.safetensors", size=-1), "acme/x")
