import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models import catalogue
from jobs.localvertex.resources.tuning import peft_arguments

ROOT = Path(__file__).parents[5]
ARGUMENTS = [
    "--pretrained_model_name_or_path=google/gemma-3-270m",
    "--train_dataset=gs://b/train.jsonl",
    "--output_dir=gs://b/out",
]
PROGRAM = """
import json, sys
from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models import catalogue
from jobs.localvertex.resources.tuning import peft_arguments
try:
    print(json.dumps(peft_arguments.read(catalogue.load(), sys.argv[1:]).engine))
except ApiError as error:
    print(json.dumps([error.status, error.message]))
"""


@pytest.fixture
def packages(tmp_path):
    """All that are installed here but bitsandbytes."""
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith("bitsandbytes"):
            (tmp_path / package.name).symlink_to(package)
    return tmp_path


def read_with(packages, mode):
    """In a Python of its own that has the packages of this folder alone."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{packages}"}
    command = [sys.executable, "-S", "-c", PROGRAM, *ARGUMENTS, f"--precision_mode={mode}"]
    output = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    return json.loads(output)


@pytest.mark.parametrize("mode", ["4bit", "8bit"])
def test_quantised_base_is_the_engine_s_business(packages, mode):
    (packages / "bitsandbytes.py").touch()
    assert read_with(packages, mode) == {"lora_alpha": 32, "quantization": mode}


@pytest.mark.parametrize("mode", ["bfloat16", "float16", "16bit"])
def test_sixteen_bits_need_nothing(mode):
    arguments = [*ARGUMENTS, f"--precision_mode={mode}"]
    assert peft_arguments.read(catalogue.load(), arguments).engine == {"lora_alpha": 32}


@pytest.mark.parametrize("mode", ["4bit", "8bit"])
def test_without_the_package_the_extra_is_named(packages, mode):
    assert read_with(packages, mode) == [
        "FAILED_PRECONDITION",
        f"--precision_mode={mode} needs bitsandbytes, which is not installed here."
        " Install it: pip install -e '.[local,qlora]'. Or use --precision_mode=bfloat16.",
    ]


@pytest.mark.parametrize(
    ("given", "engine"),
    [
        (["lr_scheduler_type=linear", "warmup_ratio=0.1", "weight_decay=0.01"],
         {"warmup_ratio": 0.1, "weight_decay": 0.01, "lr_scheduler_type": "linear"}),
        (["warmup_ratio=0.1", "warmup_steps=20"], {"warmup_ratio": 0.1, "warmup_steps": 20}),
        (["warmup_ratio=0", "warmup_steps=0", "weight_decay=0.0"], {"warmup_ratio": 0.0, "weight_decay": 0.0}),
        (["lr_scheduler_type=constant", "warmup_ratio=0.1"],
         {"lr_scheduler_type": "constant", "warmup_ratio": 0.0, "warmup_steps": 0}),
        (["lr_scheduler_type=constant_with_warmup"], {"lr_scheduler_type": "constant"}),
    ],
)  # fmt: skip
def test_schedule_warm_up_and_weight_decay_are_the_trainer_s(given, engine):
    read = peft_arguments.read(catalogue.load(), [*ARGUMENTS, *(f"--{one}" for one in given)])
    assert (read.engine, read.ignored) == ({"lora_alpha": 32} | engine, ())


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("lr_scheduler_type=polynomial", "must be one of constant, linear, cosine, constant_with_warmup here"),
        ("warmup_ratio=1.5", "must be at most 1"),
        ("warmup_ratio=nan", "must be at least 0"),
        ("weight_decay=-1", "must be at least 0"),
        ("warmup_steps=2.5", "must be a whole number"),
    ],
)
def test_what_the_trainer_cannot_do_is_refused(argument, reason):
    with pytest.raises(ApiError, match=f"--{argument.partition('=')[0]} {reason}"):
        peft_arguments.read(catalogue.load(), [*ARGUMENTS, f"--{argument}"])
