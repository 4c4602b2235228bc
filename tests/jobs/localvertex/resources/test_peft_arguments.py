import sys

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models import catalogue
from jobs.localvertex.resources.tuning import peft_arguments

ARGUMENTS = [
    "--pretrained_model_name_or_path=google/gemma-3-270m",
    "--train_dataset=gs://b/train.jsonl",
    "--output_dir=gs://b/out",
]


def engine(mode):
    return peft_arguments.read(catalogue.load(), [*ARGUMENTS, f"--precision_mode={mode}"]).engine


@pytest.mark.parametrize("mode", ["4bit", "8bit"])
def test_quantised_base_is_the_engine_s_business(monkeypatch, tmp_path, mode):
    (tmp_path / "bitsandbytes.py").touch()
    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert engine(mode) == {"lora_alpha": 32, "quantization": mode}


@pytest.mark.parametrize("mode", ["bfloat16", "float16", "16bit"])
def test_sixteen_bits_need_nothing(mode):
    assert engine(mode) == {"lora_alpha": 32}


@pytest.mark.parametrize("mode", ["4bit", "8bit"])
def test_without_the_package_the_extra_is_named(monkeypatch, mode):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ApiError) as caught:
        engine(mode)
    assert (caught.value.status, caught.value.message) == (
        "FAILED_PRECONDITION",
        f"--precision_mode={mode} needs bitsandbytes, which is not installed here."
        " Install it: pip install -e '.[local,qlora]'. Or use --precision_mode=bfloat16.",
    )
