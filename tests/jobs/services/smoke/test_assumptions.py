"""Every assumption is shown to hold by one evidence, not to hold by another, and to be unseen without any."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.services.smoke.assumptions import ASSUMPTIONS, FINAL, judge
from jobs.services.smoke.evidence import Evidence
from jobs.vertex.values import MachineSpec, RemoteDeployedModel, RemoteEndpoint, RemoteTuningJob

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def job(**values):
    base: dict[str, Any] = {
        "name": "projects/p/locations/l/tuningJobs/1", "state": "SUCCEEDED", "labels": {"app-key": "1"},
        "display_name": "", "create_time": NOW, "start_time": NOW, "end_time": NOW, "error": None, "experiment": "",
        "tuned_model": "projects/p/locations/l/models/1", "checkpoints": (), "total_steps": None, "data_stats": {},
    }  # fmt: skip
    return RemoteTuningJob(**(base | values))


def endpoint(labels, dns, machine):
    model = RemoteDeployedModel("1", "", "", 1, machine=machine)
    return RemoteEndpoint("projects/p/locations/l/endpoints/1", "", labels, dns, (model,))


HELD = Evidence(
    job=job(), tuning_mode="PEFT_ADAPTER", learning_rate=1e-05, asked_labels={"app-key": "1"},
    files=(f"{FINAL}config.json", f"{FINAL}model.safetensors", "postprocess/node-0/checkpoints/3/model.safetensors"),
    metrics=("/train_total_loss", "bleu"), endpoint=endpoint({"app-key": "1"}, "1.prediction", MachineSpec("g2")),
    answer="Lima", list_has_machines=True, terms_accepted=False, tuning_quota=1, is_quota_readable=True, is_gone=True,
)  # fmt: skip
BROKEN = Evidence(
    job=job(state="FAILED", labels={}, tuned_model=""), tuning_mode="PEFT_ADAPTER", learning_rate=1e-05,
    asked_labels={"app-key": "1"}, files=("elsewhere/adapter.safetensors",), metrics=("bleu",),
    endpoint=endpoint({}, "", None), answer=" ", list_has_machines=False, is_quota_readable=False, is_gone=False,
)  # fmt: skip
TRIED = [one.key for one in ASSUMPTIONS if one.judge]


def verdicts(evidence):
    return {one.assumption.key: one.verdict for one in judge(evidence)}


@pytest.mark.parametrize("key", TRIED)
def test_each_can_hold_fail_and_stay_unseen(key):
    # That nobody answers for the terms is not seen, and there is no other way to fail.
    broken = "not seen" if key == "terms" else "did not hold"
    assert [verdicts(one)[key] for one in (HELD, BROKEN, Evidence())] == ["held", broken, "not seen"]


def test_the_others_say_why_they_are_not_tried():
    others = [one for one in ASSUMPTIONS if not one.judge]
    assert [one.key for one in others if not one.not_tried] == []
    assert {verdicts(HELD)[one.key] for one in others} == {"not tried"}
    assert len({one.key for one in ASSUMPTIONS}) == len(ASSUMPTIONS)


def test_a_full_tuning_tells_nothing_of_merging():
    full = Evidence(files=HELD.files, tuning_mode="FULL")
    assert verdicts(full)["final-is-merged"] == "not seen"


def test_what_was_seen_is_told():
    said = {one.assumption.key: one.detail for one in judge(HELD)}
    assert said["metric-names"] == "/train_total_loss, bleu"
    assert said["final-folder"] == ("weights in postprocess/node-0/checkpoints/3, postprocess/node-0/checkpoints/final")
    assert said["tuning-quota"] == "limit 1"
