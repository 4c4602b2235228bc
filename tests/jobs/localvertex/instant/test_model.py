import json

import pytest
from tokenizers import Tokenizer

from jobs.localvertex.instant.model import VOCABULARY, write_adapter, write_base, write_model
from jobs.localvertex.instant.training import WORD
from jobs.localvertex.memory import serving as memory
from jobs.localvertex.models.weights import from_folder


def test_a_base_can_be_tuned_and_served(tmp_path):
    write_base(tmp_path / "base")
    found = from_folder("local/it@it", tmp_path / "base", tmp_path / "made")
    assert (found.trainable, found.servable, found.state) == (True, True, "ready")
    need = memory.need(str(found.gguf), None, None, context=8192, slots=4)
    assert memory.PROCESS_BYTES < need < memory.PROCESS_BYTES + 10 * memory.MEGABYTE


def test_its_words_are_the_tokens_that_are_counted(tmp_path):
    write_base(tmp_path)
    text = "Wie geht's, world?! 3.5"
    assert len(Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text).ids) == len(WORD.findall(text)) == 10


def test_an_adapter_says_what_it_is(tmp_path):
    folder = tmp_path / "adapter"
    write_adapter(folder, 4, 8, "google/gemma3@gemma-3-1b-it", 1)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 4, 8)
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter.gguf", "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_transformers_and_peft_read_them(tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    write_model(tmp_path / "whole", 1)
    write_adapter(tmp_path / "adapter", 4, 8, str(tmp_path / "whole"), 1)
    tokens = AutoTokenizer.from_pretrained(tmp_path / "whole")("Hello there", return_tensors="pt")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    with torch.no_grad():
        plain = model(tokens["input_ids"]).logits
        tuned = PeftModel.from_pretrained(model, tmp_path / "adapter")(tokens["input_ids"]).logits
    assert plain.shape[-1] == VOCABULARY
    assert not torch.equal(plain, tuned)
