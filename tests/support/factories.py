"""Rows with plain defaults. Every argument is a keyword; nothing else is made than what the name says."""

import hashlib
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from PIL import Image

from jobs.files import store
from jobs.models import (
    Comparison,
    Conversation,
    Dataset,
    DatasetFormat,
    DatasetImport,
    DeployedModel,
    Endpoint,
    FoundKind,
    FoundResource,
    Message,
    ModelImport,
    Notification,
    NotificationChoice,
    Picture,
    PublisherModel,
    Role,
    SignedInSession,
    Sweep,
    Takeaway,
    TuningDraft,
    TuningJob,
)
from jobs.services.tuning.spec import TuningSpec
from jobs.states import DeployedState, EndpointState, Phase
from tests.support.stored import path_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BASE_MODEL = "google/gemma3@gemma-3-270m"
ROWS = [{"prompt": f"Question {number}?", "completion": f"Answer {number}."} for number in range(1, 13)]


def user(*, username: str, **values: Any) -> User:
    return User.objects.filter(username=username).first() or User.objects.create_user(
        username=username, password="correct horse battery", **values
    )


def owner(**values: Any) -> User:
    """The person whose things the test is about; as on a laptop, an administrator."""
    defaults: dict[str, Any] = {"username": "owner", "is_superuser": True}
    return user(**defaults | values)


def session(**values: Any) -> SignedInSession:
    """A browser in which the default owner is signed in, unless `user` says otherwise."""
    now = timezone.now()
    defaults = {"user": values.get("user") or owner(), "signed_in_at": now, "expires_at": now + timedelta(hours=8)}
    return SignedInSession.objects.create(**defaults | values)


def team_mate(**values: Any) -> User:
    return user(**{"username": "team-mate"} | values)


def stranger(**values: Any) -> User:
    return user(**{"username": "stranger"} | values)


def dataset(*, rows: list[dict[str, Any]] | None = None, **values: Any) -> Dataset:
    """A valid dataset with its file on disk; pass `owner` unless the default owner is meant."""
    content = "".join(json.dumps(row) + "\n" for row in (ROWS if rows is None else rows))
    defaults = {
        "owner": values.get("owner") or owner(),
        "name": "Questions",
        "file_name": "questions.jsonl",
        "sha256": "0" * 64,
        "format": DatasetFormat.PROMPT,
        "byte_size": len(content.encode()),
        "valid_rows": content.count("\n"),
        "character_count": len(content),
        "token_estimate": len(content) // 4,
    }
    made = Dataset.objects.create(**defaults | values)
    path_of(made).parent.mkdir(parents=True, exist_ok=True)
    path_of(made).write_text(content, encoding="utf-8")
    return made


def dataset_import(**values: Any) -> DatasetImport:
    """Asked for, and not read yet."""
    defaults = {"owner": values.get("owner") or owner(), "uri": "gs://garden-local/sets/rows.jsonl"}
    return DatasetImport.objects.create(**defaults | values)


def model_import(**values: Any) -> ModelImport:
    """Asked for, and not looked at yet."""
    defaults = {"owner": values.get("owner") or owner(), "source": "acme/Tiny"}
    return ModelImport.objects.create(**defaults | values)


def draft(**values: Any) -> TuningDraft:
    return TuningDraft.objects.create(**{"owner": values.get("owner") or owner(), "data": {}} | values)


def job(**values: Any) -> TuningJob:
    """Not sent yet and due at once, unless said otherwise."""
    who = values.get("owner") or owner()
    defaults = {
        "owner": who,
        "display_name": "My model",
        "location": "us-central1",
        "base_model": BASE_MODEL,
        "output_uri": values.get("output_uri") or free_output(),
        "epochs": 2,
        "learning_rate": 0.0002,
        "adapter_size": 8,
        "next_check_at": NOW,
    }
    if "dataset" not in values:
        values["dataset"] = dataset(owner=who)
    return TuningJob.objects.create(**defaults | values)


def sweep(**values: Any) -> Sweep:
    """Two jobs that wait, of two learning rates."""
    who = values.get("owner") or owner()
    rates = [0.0001, 0.0002]
    made = Sweep.objects.create(
        **{"owner": who, "display_name": "My sweep", "varied": {"learning_rate": rates}, "request_hash": "-"} | values
    )
    data = dataset(owner=who)
    for place, rate in enumerate(rates, 1):
        job(owner=who, dataset=data, learning_rate=rate, sweep=made, sweep_place=place)
    return made


def takeaway(**values: Any) -> Takeaway:
    """Ready: one file of four bytes in the file store."""
    made = values.pop("job", None) or job(state="SUCCEEDED")
    pk = uuid4()
    name = f"takeaways/{pk}.model.gguf"
    store.save(name, b"GGUF")
    file = {
        "name": "model.gguf",
        "size": 4,
        "source": name,
        "version": "",
        "sha256": hashlib.sha256(b"GGUF").hexdigest(),
    }
    defaults = {
        "pk": pk, "owner": made.owner, "job": made, "folder": f"{made.output_uri}/final", "form": "gguf-f16",
        "state": "READY", "files": [file],
    }  # fmt: skip
    return Takeaway.objects.create(**defaults | values)


def free_output() -> str:
    """The same for the first job of a test."""
    uri = "gs://garden-local/output/my-model"
    return f"{uri}-{uuid4()}" if TuningJob.objects.filter(output_uri=uri).exists() else uri


def tuning_spec(**values: Any) -> TuningSpec:
    """That may start: its base model is in the catalogue from now on. Pass `owner` for the dataset of somebody else."""
    name = values.get("base_model", BASE_MODEL)
    if not PublisherModel.objects.filter(name=name).exists():
        publisher_model(name=name)
    who = values.pop("owner", None) or owner()
    defaults = {
        "display_name": "My model", "base_model": name, "output_uri": f"gs://garden-local/out/{uuid4()}",
        "dataset": values.get("dataset") or dataset(owner=who), "adapter_size": 8, "accepts_licence": True,
        "endpoint_display_name": "My endpoint",
    }  # fmt: skip
    return TuningSpec(**defaults | values)


OF_ENDPOINT = frozenset(field.name for field in Endpoint._meta.get_fields())
MOVING = ("next_check_at", "operation_name", "notice", "lease_token", "lease_until", "strikes", "empty_looks")
OF_MODEL = frozenset(field.name for field in DeployedModel._meta.get_fields()) | {"job_id", "model_display_name"}
OF_BOTH = (
    "owner", "location", "request_hash", "resource_name", "error_code", "error_message", "created_at", "started_at",
    "made_here",
    "ended_at",
)  # fmt: skip
STATES_OF_MODEL = {
    EndpointState.UNDEPLOYED: DeployedState.UNDEPLOYED,
    EndpointState.DELETED: DeployedState.UNDEPLOYED,
    EndpointState.UNDEPLOYING: DeployedState.UNDEPLOYING,
    EndpointState.DELETING: DeployedState.UNDEPLOYING,
    EndpointState.FAILED: DeployedState.FAILED,
}


def endpoint(**values: Any) -> Endpoint:
    """With its first model, which deploys the base model unless `job` and `artifact_uri` are given; not sent yet.

    Columns of the model are given by their names, too."""
    number = Endpoint.objects.count() + 1
    defaults = {
        "owner": values.get("owner") or owner(),
        "display_name": "My endpoint",
        "location": "us-central1",
        "base_model": BASE_MODEL,
        "publisher_model": "" if values.get("artifact_uri") else BASE_MODEL,
        "endpoint_user_id": f"endpoint-{number}",
        "model_user_id": f"model-{number}",
        "next_check_at": NOW,
    }
    chosen: dict[str, Any] = defaults | values
    of_endpoint = {name: value for name, value in chosen.items() if name in OF_ENDPOINT}
    of_model = {name: value for name, value in chosen.items() if name in OF_MODEL and name not in OF_ENDPOINT}
    key: uuid.UUID = chosen.get("pk") or chosen.get("id") or uuid.uuid4()
    of_model |= {name: chosen[name] for name in OF_BOTH if name in chosen}
    of_model["display_name"] = of_model.pop("model_display_name", "") or chosen["display_name"]
    of_model |= _moved(of_endpoint)
    with transaction.atomic():
        made = Endpoint.objects.create(**of_endpoint | {"pk": key, "main_model_id": key})
        DeployedModel.objects.create(pk=key, endpoint=made, **of_model)
    return Endpoint.objects.select_related("main_model", "owner").get(pk=key)


def _moved(of_endpoint: dict[str, Any]) -> dict[str, Any]:
    """What the state of the endpoint says of its model. The one that has something to do is due."""
    state = EndpointState(of_endpoint.setdefault("state", EndpointState.DEPLOYING))
    phase = of_endpoint.get("phase", Phase.INTENT)
    moved = {"state": STATES_OF_MODEL.get(state, str(state)), "phase": phase, "next_check_at": None}
    if phase not in (Phase.BOUND, Phase.CLOSED):
        of_endpoint["phase"] = Phase.INTENT
    if state == EndpointState.DEPLOYING:
        moved |= {name: of_endpoint.pop(name) for name in MOVING if name in of_endpoint}
        of_endpoint["next_check_at"] = None
    elif moved["state"] == DeployedState.UNDEPLOYING:
        moved["next_check_at"] = of_endpoint["next_check_at"]
    elif moved["state"] != DeployedState.READY:
        moved["phase"] = Phase.CLOSED
    return moved


def ready_endpoint(**values: Any) -> Endpoint:
    number = Endpoint.objects.count() + 1
    defaults = {
        "state": EndpointState.READY,
        "phase": Phase.BOUND,
        "resource_name": f"projects/garden-local/locations/us-central1/endpoints/endpoint-{number}",
        "model_resource_name": f"projects/garden-local/locations/us-central1/models/model-{number}",
        "deployed_model_id": "4711",
        "traffic": {"4711": 100},
        "started_at": NOW,
    }
    return endpoint(**defaults | values)


def deployed_model(*, endpoint: Endpoint, **values: Any) -> DeployedModel:
    """Ready beside the endpoint's first model, unless said otherwise; the endpoint's `traffic` is left as it is."""
    number = DeployedModel.objects.exclude(pk=F("endpoint")).count() + 1
    defaults = {
        "owner": endpoint.owner,
        "display_name": "Other model",
        "location": endpoint.location,
        "resource_name": endpoint.resource_name,
        "base_model": BASE_MODEL,
        "publisher_model": "" if values.get("artifact_uri") else BASE_MODEL,
        "model_user_id": f"other-{number}",
        "deployed_model_id": str(5000 + number),
        "state": DeployedState.READY,
        "phase": Phase.BOUND,
        "started_at": NOW,
        "next_check_at": None,
    }
    return DeployedModel.objects.create(endpoint=endpoint, **defaults | values)


def found_resource(**values: Any) -> FoundResource:
    """An endpoint with a model on it that was not made here, and that costs."""
    kind, location = values.get("kind", FoundKind.ENDPOINT), values.get("location", "us-central1")
    number = FoundResource.objects.count() + 1
    model = {
        "id": "77", "model": f"projects/garden-local/locations/{location}/models/{number}", "display_name": "A model",
        "share": 100, "created_at": "", "machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4",
        "accelerator_count": 1, "count": 1, "most": 1, "available": 1,
    }  # fmt: skip
    defaults = {
        "kind": kind,
        "location": location,
        "key": f"found-{number}",
        "resource_name": f"projects/garden-local/locations/{location}/endpoints/found-{number}",
        "display_name": "Made elsewhere",
        "facts": {"models": [model], "machines": [model], "dedicated_dns": "1.example"},
        "is_running": True,
        "usd_per_hour": Decimal("1.0"),
        "created_at": NOW,
        "seen_at": NOW,
    }
    return FoundResource.objects.create(**defaults | values)


def conversation(**values: Any) -> Conversation:
    who = values.get("owner") or owner()
    if "endpoint" not in values:
        values["endpoint"] = ready_endpoint(owner=who)
    return Conversation.objects.create(**{"owner": who, "title": "Hello"} | values)


def message(*, conversation: Conversation, **values: Any) -> Message:
    """The next turn of the branch shown; the person's, unless `role` says otherwise."""
    ordinal = conversation.messages.count() + 1
    defaults = {"ordinal": ordinal, "parent": conversation.head, "role": Role.USER, "content": "Ahoy"}
    if values.get("role") == Role.ASSISTANT:
        defaults["endpoint"] = conversation.endpoint
    conversation.head = Message.objects.create(conversation=conversation, **defaults | values)
    conversation.save(update_fields=["head"])
    return conversation.head


def comparison(**values: Any) -> Comparison:
    return Comparison.objects.create(**{"owner": values.get("owner") or owner()} | values)


def png(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


def picture(*, content: bytes | None = None, **values: Any) -> Picture:
    """With its file on disk; not sent yet, unless `message` is given."""
    content = png() if content is None else content
    message = values.get("message")
    defaults = {
        "owner": message.conversation.owner if message else values.get("owner") or owner(),
        "name": "red.png",
        "content_type": "image/png",
        "width": 40,
        "height": 30,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    made = Picture.objects.create(**defaults | values)
    if message:
        message.has_pictures = True
        message.save(update_fields=["has_pictures"])
    path_of(made).parent.mkdir(parents=True, exist_ok=True)
    path_of(made).write_bytes(content)
    return made


def notification(**values: Any) -> Notification:
    """Unread; of a tuning job that succeeded, unless said otherwise."""
    defaults = {
        "owner": values.get("owner") or owner(),
        "kind": "tuning.succeeded",
        "subject": "tuning_job",
        "subject_id": uuid4(),
        "end": "SUCCEEDED",
        "facts": {"name": "My model", "state": "SUCCEEDED"},
    }
    return Notification.objects.create(**defaults | values)


def notification_choice(**values: Any) -> NotificationChoice:
    """Reached by both ways, with what is sent at first."""
    defaults = {
        "user": values.get("user") or owner(),
        "email": "owner@example.com",
        "email_confirmed": True,
        "webhook_url": "https://hook.example/here",
        "webhook_nonce": "nonce",
    }
    return NotificationChoice.objects.create(**defaults | values)


def publisher_model(*, name: str = BASE_MODEL, **values: Any) -> PublisherModel:
    """Listed; can be tuned and deployed, and its licence is accepted, unless said otherwise."""
    publisher, _slash, rest = name.partition("/")
    family, _at, version = rest.partition("@")
    defaults = {
        "publisher": publisher,
        "family": family,
        "version": version,
        "display_name": version.replace("-", " ").title(),
        "launch_stage": "GA",
        "can_deploy": True,
        "can_tune": True,
        "licence_acknowledged": True,
        "fetched_at": NOW,
        "data": {
            "overview": "A small model.",
            "licence": "Gemma Terms of Use",
            "licence_url": "https://ai.google.dev/gemma/terms",
            "machine_specs": [
                {"machine_type": "local-cpu", "accelerator_type": "", "accelerator_count": 0, "title": ""}
            ],
            "sample_request": {},
        },
    }
    return PublisherModel.objects.create(name=name, **defaults | values)
