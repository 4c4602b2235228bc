from jobs.services.tuned_models.forms import form_of

CASES = {
    "config.json model.safetensors tokenizer.json": "whole",
    "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors tokenizer.model": "whole",
    "config.json pytorch_model.bin vocab.json": "whole",
    "adapter_config.json config.json model.safetensors tokenizer.json": "whole",
    "adapter_config.json adapter_model.safetensors tokenizer.json": "adapter",
    "adapter_config.json adapter_model.bin config.json": "adapter",
    "adapter_config.json adapter_model.safetensors config.json tokenizer.json": "adapter",
    "config.json model-00001-of-00002.safetensors tokenizer.json": "none",
    "config.json model.safetensors": "none",
    "model.safetensors tokenizer.json": "none",
    "adapter_config.json": "none",
    "config.json tokenizer.json training_args.bin optimizer.bin": "none",
    "": "none",
}


def test_files_say_what_a_folder_holds():
    assert {names: form_of(names.split()).value for names in CASES} == CASES
