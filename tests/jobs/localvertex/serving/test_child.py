"""What llama.cpp takes where a request does not say."""

import httpx
import pytest
from gguf import GGUFReader, GGUFWriter

from jobs.localvertex.serving.llama import ADDRESS, SERVING_COMMAND, Plan, launch
from tests.jobs.localvertex.engine.conftest import TINY
from tests.jobs.localvertex.servers import wait_for

SAMPLING = {
    "temperature": 0.25, "top_k": 7, "min_p": 0.1, "repetition_penalty": 1.25, "frequency_penalty": 0.5,
    "presence_penalty": 0.75, "dry_multiplier": 0.8,
}  # fmt: skip
TOLD = {
    "temperature": 0.25, "top_k": 7, "min_p": 0.1, "repeat_penalty": 1.25, "frequency_penalty": 0.5,
    "presence_penalty": 0.75, "dry_multiplier": 0.8, "top_p": 0.95, "repeat_last_n": 256, "dry_penalty_last_n": 512,
}  # fmt: skip


@pytest.mark.slow
def test_a_model_s_own_settings_are_the_defaults(tmp_path):
    assert read_defaults(TINY / "model.gguf", SAMPLING, tmp_path) == TOLD


@pytest.mark.slow
def test_what_the_file_itself_says_does_not_come_before(tmp_path):
    """Its settings are read by the server, which leaves the penalties of a base model out of a tuned one."""
    path = add_sampling(TINY / "model.gguf", tmp_path / "model.gguf")
    assert read_defaults(path, SAMPLING, tmp_path) == TOLD
    assert read_defaults(path, {}, tmp_path)["repeat_penalty"] == 1


def add_sampling(source, path):
    reader = GGUFReader(source)
    writer = GGUFWriter(path, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind, *of = field.types
            writer.add_key_value(field.name, field.contents(), kind, sub_type=of[-1] if of else None)
    writer.add_sampling_temp(0.6)
    writer.add_sampling_penalty_repeat(1.5)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_defaults(path, sampling, folder):
    child = launch(Plan("e/deployedModels/1", str(path), sampling=sampling), folder / "served", SERVING_COMMAND)
    try:
        wait_for(lambda: child.ready, lambda: "\n".join(child.last_lines()), 60)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(child.socket)), timeout=60) as client:
            found = client.get(f"{ADDRESS}/props", headers={"Authorization": f"Bearer {child.api_key}"}).json()
    finally:
        child.kill()
    told = found["default_generation_settings"]["params"]
    return {name: round(told[name], 3) for name in TOLD}
