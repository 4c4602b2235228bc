"""What is missing or changed of the weights of a model, by the sizes that were noted when it came."""

import json

import pytest

from jobs.localvertex.imports.damage import find_damage, list_sizes, read_stamp


def write(folder, **sizes):
    for name, size in sizes.items():
        (folder / name.replace("_", ".")).write_bytes(b"x" * size)


def test_what_was_made_of_weights_is_not_noted_beside_them(tmp_path):
    write(tmp_path, model_gguf=5, mmproj_gguf=3, config_json=2)
    assert list_sizes(tmp_path) == {"model.gguf": 5, "mmproj.gguf": 3}
    write(tmp_path, model_safetensors=7)
    assert list_sizes(tmp_path) == {"model.safetensors": 7}


def test_each_file_that_is_not_as_it_came_is_named(tmp_path):
    write(tmp_path, a_safetensors=2000, b_safetensors=7)
    noted = {"a.safetensors": 3000, "b.safetensors": 7, "c.safetensors": 9}
    assert find_damage(tmp_path, noted) == {
        "a.safetensors": "a.safetensors has 2,000 bytes and came with 3,000.",
        "c.safetensors": "c.safetensors is missing.",
    }


@pytest.mark.parametrize("noted", [None, [], 7])
def test_without_a_note_the_index_tells_the_names(tmp_path, noted):
    write(tmp_path, config_json=2, a_safetensors=7)
    assert find_damage(tmp_path, noted) == {}
    index = {"weight_map": {"one": "a.safetensors", "two": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert find_damage(tmp_path, noted) == {"b.safetensors": "b.safetensors is missing."}


@pytest.mark.parametrize(
    "index", [None, "{", '{"weight_map": {}}', '{"weight_map": 7}', '{"weight_map": {"a": 7}}', "[" * 100_000]
)
def test_without_a_note_and_an_index_a_configuration_wants_weights(tmp_path, index):
    write(tmp_path, model_gguf=7)
    assert find_damage(tmp_path, None) == {}
    write(tmp_path, config_json=2)
    if index:
        (tmp_path / "model.safetensors.index.json").write_text(index)
    assert find_damage(tmp_path, None) == {"model.safetensors": "model.safetensors is missing."}


@pytest.mark.parametrize("size", [None, "7", [], 7.5, True])
def test_a_size_that_is_none_is_no_size(tmp_path, size):
    write(tmp_path, a_safetensors=2000)
    assert find_damage(tmp_path, {"a.safetensors": size}) == {}
    assert list(find_damage(tmp_path, {"b.safetensors": size})) == ["b.safetensors"]


def test_a_change_changes_the_stamp(tmp_path):
    stamps = [read_stamp(tmp_path / "none"), read_stamp(tmp_path)]
    for size in (7, 8):
        write(tmp_path, model_safetensors=size)
        stamps += [read_stamp(tmp_path)]
    (tmp_path / "model.safetensors").unlink()
    assert (len(set(stamps)), read_stamp(tmp_path)) == (4, stamps[1])
