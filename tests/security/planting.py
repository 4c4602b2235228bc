"""Rows of every kind, and markup in each of their texts: what a person, a file, a server or a model can fill.

`grow()` makes the rows, `plant(text)` puts the text into every column of text of every row.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.db import models
from django.utils import timezone

from jobs.files import store
from jobs.models import (
    AuditEntry,
    CatalogueSync,
    ChatPreset,
    DatasetImage,
    DatasetWork,
    Delivery,
    EndpointEvent,
    EndpointReport,
    FoundKind,
    Heartbeat,
    InventoryLook,
    JobEvent,
    MachinePrice,
    Metric,
    Notification,
    NotificationChoice,
    OutputListing,
    Preflight,
    PriceSync,
    ProbeResult,
    ProcessReport,
    PublisherModel,
    QueuePause,
    RowEdit,
    SharedFolder,
    SignInLink,
    StorageListing,
    TuningJob,
    Vote,
    preference_of,
)
from jobs.services import audit
from jobs.services.chat import shared_links
from jobs.services.datasets import datasets
from jobs.services.datasets.images import places
from jobs.services.preflight import subjects
from jobs.text import markdown
from tests.support import factories
from tests.support.ledger import ledger_entry

TEXTS = (models.CharField, models.TextField, models.JSONField)
# Columns that hold nobody's text: a hash, a key or a number of ours, or one of a few words that are checked before.
OURS = {
    "SignInLink.token_hash", "ShareLink.token_hash", "Picture.sha256", "Picture.content_type", "Picture.box",
    "Dataset.sha256", "NotificationChoice.webhook_nonce", "StorageListing.page_token", "AccountPreference.language",
    "StorageListing.uri",
    "AccountPreference.time_zone", "Heartbeat.name", "ProbeResult.name", "Preflight.key", "Preflight.subject",
    "User.password", "Notification.end",
    "AccountPreference.hidden_columns", "NotificationChoice.ways",
    "Endpoint.endpoint_user_id", "DeployedModel.model_user_id", "DeployedModel.stage", "Dataset.changes",
    "Dataset.rows_over", "Dataset.token_counts", "Endpoint.traffic", "Endpoint.traffic_wanted",
    "DeployedModel.split_after",
    "TuningJob.request_hash", "Endpoint.request_hash", "DeployedModel.request_hash", "TuningJob.estimate",
    "TuningJob.loss_curve",
    "DatasetWork.options", "DatasetWork.result", "DatasetWork.choices",
    "DeployedModel.deployed_model_id", "Heartbeat.detail",
    "DeployedModel.stage_times", "AuditEntry.hash", "AuditEntry.action",
    "AuditEntry.object_kind", "AuditEntry.object_id", "AuditEntry.request_id", "SignedInSession.auth_hash",
    "SignedInSession.data", "ProcessReport.kind", "TuningJob.error_field", "EndpointReport.kind",
    "MachinePrice.machine_type", "MachinePrice.region", "DatasetImage.file",
}  # fmt: skip
# Columns whose texts are parts of an address, separated as in `publisher/family@version`.
PARTS = {"PublisherModel.name", "PublisherModel.publisher", "PublisherModel.family", "PublisherModel.version"}
# Columns of which some rows may not have the same.
ALONE = {"InventoryLook.location", "TuningJob.output_uri"}
# Texts within JSON that are numbers or words of ours, and how a moment of ours begins.
KEPT = {"state", "cause", "role", "stage", "sent", "dataset", "reading"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")
ALONE_OF_THEIR_KIND = (
    PublisherModel, CatalogueSync, PriceSync, MachinePrice, InventoryLook, NotificationChoice, QueuePause,
)  # fmt: skip
NOW = timezone.now


def columns() -> Iterator[tuple[type[models.Model], Any]]:
    """Every column of text of our models and of accounts, but those that only ever hold one of a list."""
    for model in [*apps.get_app_config("jobs").get_models(), apps.get_model("auth", "User")]:
        for field in model._meta.concrete_fields:
            if isinstance(field, TEXTS) and not field.choices:
                yield model, field


def named(model: type[models.Model], field: Any) -> str:
    return f"{model.__name__}.{field.name}"


PARAMETERS = {"temperature": 0.5, "stop": ["x"], "response_format": {"type": "json_schema", "json_schema": {"a": "x"}}}
ANSWERED = {
    "content": "x", "html": "x", "finish_reason": "x", "parameters": PARAMETERS,
    "usage": {"prompt_tokens": 1, "x": "x"}, "timings": {"first_token": 0.1, "total": 1.0},
    "tools": {"calls": [{"id": "x", "name": "x", "arguments": {"x": "x"}}]},
}  # fmt: skip
OPTIONS = {"service_account": "x", "endpoint_labels": {"x": "x"}, "reservation": "SPECIFIC", "reservations": ["x"]}
DEPLOYED = {
    "machine_type": "x", "accelerator_type": "x", "notice": "x", "operation_name": "x", "resource_name": "x/1",
    "model_resource_name": "x/2", "base_model": factories.BASE_MODEL, "next_check_at": None,
    "stage_times": [["STARTING_MODEL_SERVER", "2026-11-24T12:00:00+00:00"]],
}  # fmt: skip
PUBLISHED = {
    "overview": "x", "licence": "x", "licence_url": "x", "sample_request": {"x": ["x"]}, "parameters": "x",
    "machine_specs": [{"machine_type": "x", "accelerator_type": "x", "accelerator_count": 1, "title": "x"}],
    "modalities": ["x"], "documents": {"use_cases": "x", "documentation": "x", "pricing": "x", "x": "x"},
}  # fmt: skip
DEPLOYED_ELSEWHERE = {
    "id": "x", "model": "x", "display_name": "x", "share": 100, "created_at": "", "machine_type": "x",
    "accelerator_type": "x", "accelerator_count": 1, "count": 1, "most": 1, "available": 1,
}  # fmt: skip
FOUND_ELSEWHERE = {
    "display_name": "x", "state": "x", "created_at": NOW() - timedelta(days=9), "usd_per_hour": None,
    "facts": {
        "base_model": "x", "folder": "x", "image": "x", "result": "x", "dedicated_dns": "x",
        "models": [DEPLOYED_ELSEWHERE], "machines": [DEPLOYED_ELSEWHERE],
    },
}  # fmt: skip
STATS = {"tuningDatasetExampleCount": "x", "userInputTokenDistribution": {"min": "x", "buckets": [{"count": "x"}]}}
CHECKPOINTS = [{"checkpoint_id": "x", "epoch": 1, "step": 2, "endpoint": "x"}]
IN_CONTAINER = {"training_machine": "x", "trainer_image": "x"}
CHECKED = {"checked_at": "2026-11-24T12:00:00+00:00", "is_empty": None}
FACTS = {"name": "x", "endpoint": "x", "reason": "x", "detail": "x", "machine": "x"}


def worked_on(dataset: Any) -> None:
    found = {"groups": [[[1, 100], [2, 100]]], "rows": 2, "extra": 1, "is_cut": False}
    DatasetWork.objects.create(dataset=dataset, kind="search", options={"similarity": 0}, result=found, state="READY")
    for kind in ("compare", "edits"):
        DatasetWork.objects.create(dataset=dataset, kind=kind, state="FAILED", error="x")


def grow() -> dict[str, Any]:
    """Rows of every kind in the states that show most, by the names that the routes go by."""
    for model in ALONE_OF_THEIR_KIND:
        model.objects.all().delete()
    for name in (factories.BASE_MODEL, "other/family@version"):
        factories.publisher_model(name=name, data=PUBLISHED)
    CatalogueSync.objects.create(pk=1, succeeded_at=NOW(), error_message="x")
    data = datasets.create(factories.owner(), file=io.BytesIO(b"question,answer\nWhere?,Here\n"), file_name="a.csv")
    rows = [{"prompt": "x", "completion": "y"}] * 12
    lines = "".join(f"{json.dumps(row)}\n" for row in rows) + '{"prompt": 1}\nx\n'
    datasets.create(factories.owner(), file=io.BytesIO(lines[:-2].encode()), file_name="b.jsonl")
    good = datasets.create(factories.owner(), file=io.BytesIO(lines.encode()), file_name="b.jsonl")
    type(good).objects.update(description="x", recipe={"x": "x"}, notes=["x"], uploaded_uri="x")
    type(good).objects.filter(pk=good.pk).update(source_uri="x", source_version="x")
    added = RowEdit.objects.create(dataset=good, text="x")
    RowEdit.objects.create(dataset=good, line=1, text="x")
    worked_on(good)
    jobs = [tuning_job(state, good) for state in ("RUNNING", "SUCCEEDED", "FAILED", "QUEUED", "NEEDS_DECISION")]
    done, wrong = jobs[1], {"error_message": "x", "error_code": "INTERNAL"}
    more = {"publisher_model": "", "model_display_name": "x", "dedicated_dns": "x", **DEPLOYED}
    endpoint = factories.ready_endpoint(job=done, artifact_uri="gs://bucket/final", serving_options=OPTIONS, **more)
    ledger_entry(endpoint.model, name="x", model_name="x", machine_type="x", region="x", price_source="x")
    PriceSync.objects.create(pk=1, failed_at=NOW(), error_message="x")
    MachinePrice.objects.create(machine_type="x", region="x", usd_per_hour=1, read_at=NOW())
    failed = factories.endpoint(state="FAILED", phase="CLOSED", **wrong, **DEPLOYED)
    other = factories.deployed_model(endpoint=endpoint, **DEPLOYED)
    factories.deployed_model(endpoint=endpoint, artifact_uri="x", state="FAILED", **wrong, **DEPLOYED)
    found = [factories.found_resource(kind=kind, **FOUND_ELSEWHERE) for kind in FoundKind]
    factories.endpoint(state="READY", phase="BOUND", made_here=False, traffic={"1": 100}, **DEPLOYED)
    InventoryLook.objects.create(kind="endpoint", location="x", looked_at=NOW(), problem="x")
    EndpointEvent.objects.create(endpoint=endpoint, message="x", level="ERROR")
    at = {"asked_at": NOW(), "read_at": NOW(), "told_at": NOW()}
    EndpointReport.objects.create(endpoint=endpoint, kind="log", data=["x"], error="x", **at)
    talk = factories.conversation(
        endpoint=endpoint, system_instruction="x", draft="x", parameters=PARAMETERS,
        schema_text="x",
    )  # fmt: skip
    question = factories.message(conversation=talk, content="x")
    factories.picture(message=question, alt="x")
    answer = factories.message(conversation=talk, role="assistant", answered_by="x", created_at=NOW(), **ANSWERED)
    link, token = shared_links.share(talk)
    bad = factories.conversation(endpoint=endpoint)
    factories.message(conversation=bad)
    factories.message(conversation=bad, role="assistant", state="FAILED", error_message="x", error_code="INTERNAL")
    comparison = factories.comparison(title="x", draft="x")
    column = factories.conversation(comparison=comparison, endpoint=endpoint, parameters=PARAMETERS)
    factories.conversation(comparison=comparison, endpoint=failed, column=1)
    factories.message(conversation=column)
    compared = factories.message(conversation=column, role="assistant", **ANSWERED)
    Vote.objects.create(comparison=comparison, round=1, winner=column)
    ChatPreset.objects.create(owner=factories.owner(), name="x", system_instruction="x", parameters=PARAMETERS)
    told = notifications(done)
    delivery = Delivery.objects.create(notification=told, way="webhook", state="FAILED", problem="answer", detail="x")
    factories.notification_choice()
    settled()
    files = [{"name": "x", "size": 4, "source": "x", "version": "x", "sha256": "x"}]
    OutputListing.objects.create(job=done, asked_at=NOW(), read_at=NOW(), files=files, error="x")
    takeaway = factories.takeaway(job=done, folder="x", files=files)
    factories.takeaway(job=done, folder="x", form="adapter", files=files, state="FAILED", error="x")
    sweep = factories.sweep(display_name="x", varied={"learning_rate": [0.1, 0.2]})
    QueuePause.objects.create(pk=1, name="x")
    draft = factories.draft(data=all_steps(good), output_check={"uri": "gs://bucket/x", "problem": "x", **CHECKED})
    image = DatasetImage.objects.create(dataset=good, file=f"{'0' * 64}.png").file
    store.save(places.stored_name(good.owner_id, image), factories.png())
    return {
        "image": image,
        "tuning": done.pk, "tuned": done.pk, "draft": draft.pk, "endpoint": endpoint.pk, "failed": failed.pk,
        "deployed": other.deployed_model_id, "dataset": good.pk, "table": data.pk, "chat": talk.pk, "bad": bad.pk,
        "turns": answer.pk, "question": question.pk, "compare": comparison.pk, "columns": column.pk,
        "answers": compared.pk, "picture": question.pictures.get().pk, "notification": told.pk,
        "deliveries": delivery.pk, "token": token, "link": link.pk, "jobs": [str(job.pk) for job in jobs],
        "imports": factories.dataset_import(uri="x", name="x", state="FAILED", error="x").pk,
        "model-imports": factories.model_import(
            source="x", revision="x", file="x", token="x", stage="x", facts={"licence": "x"}, model="x", error="x",
            state="FAILED",
        ).pk,
        "takeaway": takeaway.pk, "found": found[0].pk, "added": added.pk, "sweep": sweep.pk,
        **kept_for_operators(),
    }  # fmt: skip


def kept_for_operators() -> dict[str, Any]:
    session = factories.session(agent="x")
    folder = SharedFolder.objects.create(uri="gs://bucket/x", created_by=factories.owner())
    ProcessReport.objects.create(kind="chat", host="x", pid=1, version="x", since=NOW(), seen_at=NOW())
    audit.record("chat.delete", audit.Subject("chat", "", "x"), actor=factories.owner(), reason="x", facts={"x": "x"})
    AuditEntry.objects.update(actor="x", address="x")
    return {"session": session.pk, "folder": folder.pk}


def tuning_job(state: str, data: Any) -> TuningJob:
    live: dict[str, Any] = {"phase": "BOUND", "started_at": NOW() - timedelta(minutes=5)}
    over = {"phase": "CLOSED", "started_at": NOW() - timedelta(minutes=5), "ended_at": NOW()}
    asks = {"phase": "NEEDS_DECISION"}
    fitting: dict[str, Any] = {"RUNNING": live, "QUEUED": {"prepared_at": NOW()}, "NEEDS_DECISION": asks}.get(
        state, over
    )
    job = factories.job(
        state="QUEUED" if state == "NEEDS_DECISION" else state, dataset=data, validation_dataset=data, notice="x",
        description="x", endpoint_display_name="x", machine_type="x", labels={"x": "x"}, log_text="ERROR x",
        error_message="x" if state in {"FAILED", "NEEDS_DECISION"} else "", error_code="INTERNAL", experiment="x",
        tuned_model="x", default_checkpoint="x", data_stats=STATS, checkpoints=CHECKPOINTS, custom_base_model="x",
        resource_name=f"x/{uuid4()}", loss_curve=[2.0, 1.0], train_loss=1.0, step=2, total_steps=4, next_check_at=None,
        join_problem="x", log_problem="x", result_folder="x", endpoint_options=OPTIONS,
        **(IN_CONTAINER if state == "FAILED" else {}), **fitting,
    )  # fmt: skip
    JobEvent.objects.create(job=job, message="x", level="ERROR")
    for step in (1, 2):
        Metric.objects.create(job=job, tag="x", step=step, value=1.0, wall_time=NOW())
    return job


def notifications(job: TuningJob) -> Notification:
    """One of each kind; the last."""
    for kind in Notification._meta.get_field("kind").choices or ():
        facts = {**FACTS, "at": NOW().isoformat(), "state": "READY"}
        told = factories.notification(kind=kind[0], facts=facts, subject_id=job.pk, end=f"{kind[0]}-end")
    return told


def settled() -> None:
    """What there is one of for a person or for the installation."""
    who = factories.owner()
    type(who).objects.update(first_name="x", last_name="x", email="x")
    preference = preference_of(who)
    preference.defaults = {"output_prefix": "x", "machine": "x", "endpoint": "x"}
    preference.user = who
    preference.save()
    for name in ("worker", "beat"):
        Heartbeat.objects.update_or_create(name=name, defaults={"seen_at": NOW(), "detail": "{}"})
    for name in ("storage", "vertex", "clock"):
        facts = {"models": "x", "bucket": "x", "project": "x"}
        found = {"state": "failed", "detail": "x", "facts": facts, "checked_at": NOW()}
        ProbeResult.objects.update_or_create(name=name, defaults=found)
    line = {"check": "bucket", "verdict": "failed", "text": "x", "commands": ["x"]}
    asked = subjects.of_project()
    found = {"subject": asdict(asked), "lines": [line], "asked_at": NOW(), "checked_at": NOW() + timedelta(seconds=1)}
    Preflight.objects.update_or_create(key=asked.key, defaults=found)
    objects = [{"name": "x", "size": 4, "updated": "2026-11-24T12:00:00+00:00"}]
    common = {"owner": who, "asked_at": NOW(), "fetched_at": NOW(), "folders": ["x"], "objects_found": objects}
    StorageListing.objects.create(uri="", next_token="x", **common)
    StorageListing.objects.create(uri="gs://bucket/x", next_token="x", **common)
    StorageListing.objects.create(uri="gs://bucket/y", error="x", **common)
    SignInLink.objects.create(token_hash="0" * 64, user=who, expires_at=NOW() + timedelta(days=1))


def all_steps(data: Any) -> dict[str, Any]:
    """Every step of a draft was sent, so that each can be opened."""
    numbers = {"epochs": "3", "learning_rate": "0.0002", "tuning_mode": "PEFT_ADAPTER", "adapter_size": "8"}
    steps: dict[str, dict[str, Any]] = {
        "name": {"display_name": "x", "description": "x", "labels": "x"},
        "base-model": {"base_model": factories.BASE_MODEL, "custom_base_model": "x", "source": "x"},
        "output": {"output_uri": "gs://bucket/x"},
        "training": {"dataset": str(data.pk), **numbers},
        "deployment": {"auto_deploy": True, "endpoint_display_name": "x", "machine_type": "x"},
    }
    made = {step: {**values, "sent": True} for step, values in steps.items()}
    return made | {"origin": {"file": "x", "missing": {"dataset": "x"}}}


def plant(text: str) -> list[str]:
    """The columns of which no row has a text that it could take the place of: there should be none."""
    bare = []
    for model, field in columns():
        name = named(model, field)
        if name in OURS:
            continue
        rows = [row for row in model._default_manager.all() if getattr(row, field.attname)]
        for number, row in enumerate(rows):
            if name in PARTS and row.pk == factories.BASE_MODEL:
                continue
            value = planted(name, field, getattr(row, field.attname), text, number)
            model._default_manager.filter(pk=row.pk).update(**{field.attname: value})
        if not rows:
            bare.append(name)
    return bare


def planted(name: str, field: Any, value: Any, text: str, number: int) -> Any:
    if name == "Message.html":
        return markdown.answer(text)
    if isinstance(field, models.JSONField):
        return grafted(value, text)
    if name in PARTS:
        text = re.sub(r"[/@]", "", text)
        text = f"{text}/{text}@{text}" if name == "PublisherModel.name" else text
    if field.unique or name in ALONE:
        text = f"{number}{text}"
    return text[: field.max_length]


def grafted(value: Any, text: str) -> Any:
    """Every text but those that are read as moments or words of ours; `x` as a key stands for one that anybody gave."""
    if isinstance(value, dict):
        return {
            text[:60] if key == "x" else key: item if key in KEPT else grafted(item, text)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [grafted(item, text) for item in value]
    return text if isinstance(value, str) and not MOMENT.match(value) else value
