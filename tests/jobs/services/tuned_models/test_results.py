"""Folders as documentation, Google's programs and other trainers name them."""

import pytest

from jobs.models import TuningJob
from jobs.services.tuned_models.results import Results, find_results, place_checkpoints, sort_out
from tests.support import factories

WHOLE, ADAPTER = (
    ("config.json", "model.safetensors", "tokenizer.json"),
    ("adapter_config.json", "adapter_model.safetensors"),
)
NODE = "postprocess/node-0/checkpoints"


def paths(**folders: tuple[str, ...]) -> list[str]:
    return [f"{folder}/{name}".lstrip("/") for folder, names in folders.items() for name in names]


def sorted_out(folders: dict[str, tuple[str, ...]]) -> tuple[object, list[str]]:
    found = sort_out([*paths(**folders), "logs/train.log", "tensorboard/events.out.tfevents.1"])
    model = found.model and (found.model.folder, found.model.form.value)
    return model, [one.folder for one in found.checkpoints]


LAYOUTS: dict[str, tuple[dict[str, tuple[str, ...]], tuple[object, list[str]]]] = {
    "as documented": (
        {f"{NODE}/final": WHOLE, f"{NODE}/checkpoint-3": ADAPTER, f"{NODE}/checkpoint-10": ADAPTER},
        ((f"{NODE}/final", "whole"), [f"{NODE}/checkpoint-3", f"{NODE}/checkpoint-10"]),
    ),
    "numbered folders": (
        {f"{NODE}/final": WHOLE, **{f"{NODE}/{number}": WHOLE for number in (1, 3, 5, 10)}},
        ((f"{NODE}/final", "whole"), [f"{NODE}/{number}" for number in (1, 3, 5, 10)]),
    ),
    "numbers alone: the last one is the model": (
        {f"checkpoints/{number}": WHOLE for number in (1, 10, 3)},
        (("checkpoints/10", "whole"), ["checkpoints/1", "checkpoints/3", "checkpoints/10"]),
    ),
    "an adapter with the model that it was merged into": (
        {f"{NODE}/final": WHOLE, f"{NODE}/final/adapter": ADAPTER},
        ((f"{NODE}/final", "whole"), []),
    ),
    "an adapter alone": ({f"{NODE}/final": ADAPTER}, ((f"{NODE}/final", "adapter"), [])),
    "the whole model before the adapter": (
        {"adapter": ADAPTER, "merged_model": WHOLE},
        (("merged_model", "whole"), []),
    ),
    "checkpoints that lie there twice": (
        {f"{node}/checkpoint-{step}": ADAPTER for node in ("resume", NODE, "out") for step in (15, 30)},
        ((f"{NODE}/checkpoint-30", "adapter"), [f"{NODE}/checkpoint-15", f"{NODE}/checkpoint-30"]),
    ),
    "of several nodes the first": (
        {"postprocess/node-1/final": WHOLE, "postprocess/node-0/final": WHOLE},
        (("postprocess/node-0/final", "whole"), []),
    ),
    "nothing but the weights": ({"": WHOLE}, (("", "whole"), [])),
    "what the console exported is no result": ({"takeaways/7": WHOLE}, (None, [])),
    "a write that was cut off": ({f"{NODE}/final": ("config.json", "tokenizer.json")}, (None, [])),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_found_in_every_layout(layout: str) -> None:
    folders, expected = LAYOUTS[layout]
    assert sorted_out(folders) == expected


LISTED = [
    {"checkpoint_id": "1", "epoch": 1, "step": 30},
    {"checkpoint_id": "2", "epoch": 2, "step": 60},
    {"checkpoint_id": "3", "epoch": 3, "step": 90},
]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["checkpoint-30", "checkpoint-60", "checkpoint-90"], ["checkpoint-30", "checkpoint-60", "checkpoint-90"]),
        (["checkpoint-30", "checkpoint-90"], ["checkpoint-30", None, "checkpoint-90"]),
        (["1", "2", "3"], ["1", "2", "3"]),
        (["epoch_5", "epoch_7", "epoch_10"], ["epoch_5", "epoch_7", "epoch_10"]),
        (["epoch_5", "epoch_10"], [None, None, None]),
    ],
)
def test_a_checkpoint_has_the_folder_of_its_number_else_of_its_order(names: list[str], expected: list[str]) -> None:
    found = sort_out(paths(**{f"out/{name}": ADAPTER for name in names}))
    placed = place_checkpoints(factories_job(), LISTED, found)
    assert [one.get("folder") for one in placed] == [name and f"out/{name}" for name in expected]
    assert [{key: one[key] for key in LISTED[0]} for one in placed] == LISTED


def test_checkpoints_that_nobody_lists_are_those_of_the_folder() -> None:
    found = sort_out(paths(**{f"checkpoints/{number}": ADAPTER for number in (10, 5)}))
    assert place_checkpoints(factories_job(epochs=2, total_steps=10), [], found) == [
        {"checkpoint_id": "1", "epoch": 1, "step": 5, "folder": "checkpoints/5", "form": "adapter"},
        {"checkpoint_id": "2", "epoch": 2, "step": 10, "folder": "checkpoints/10", "form": "adapter"},
    ]
    assert place_checkpoints(factories_job(), [], Results(None, ())) == []


def factories_job(**values: object) -> TuningJob:
    return TuningJob(**{"epochs": 3, "total_steps": None, **values})


@pytest.mark.django_db
def test_the_folder_of_a_job_is_listed(fake_gateway) -> None:
    job = factories.job()
    fake_gateway.storage.put_model(f"{job.output_uri}/out/deep/final")
    fake_gateway.storage.put_adapter(f"{job.output_uri}/out/7")
    found = find_results(job)
    assert (found.model.folder, [one.folder for one in found.checkpoints]) == ("out/deep/final", ["out/7"])
