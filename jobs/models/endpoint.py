from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.states import ENDPOINT_TRANSIENT, EndpointState

from .fields.sentences import SentenceField
from .remote import RemoteQuerySet, RemoteResource
from .tuning import EventLevel, TuningJob

MOST_REPLICAS = 100
LONGEST_LEASE = 24 * 30  # hours


class LeaseKind(models.TextChoices):
    """When an endpoint is undeployed by itself. `lease_hours` says how long it may serve, or stand idle."""

    FIXED = "FIXED", _("After a fixed time")
    IDLE = "IDLE", _("After a time without requests")


class ServedModel(RemoteResource):
    """A model that serves: a base model's weights (`publisher_model`) or a folder's (`artifact_uri`), on its machines.

    `base_model` is empty for weights of unknown origin. `model_user_id` is chosen before the call.
    """

    publisher_model = models.CharField(max_length=200, blank=True)
    artifact_uri = models.CharField(max_length=1024, blank=True)
    base_model = models.CharField(max_length=200, blank=True)
    accepts_licence = models.BooleanField(default=False)
    spot = models.BooleanField(default=False)
    machine_type = models.CharField(max_length=64, blank=True)
    accelerator_type = models.CharField(max_length=64, blank=True)
    accelerator_count = models.PositiveIntegerField(default=0)
    min_replicas = models.PositiveSmallIntegerField(default=1)
    max_replicas = models.PositiveSmallIntegerField(default=1)
    available_replicas = models.PositiveSmallIntegerField(null=True, blank=True)
    model_user_id = models.CharField(max_length=63, unique=True)

    operation_name = models.CharField(max_length=512, blank=True)
    stage = models.CharField(max_length=40, blank=True)
    # [[stage, ISO time it was first seen], …] of the deployment.
    stage_times = models.JSONField(default=list, blank=True)
    model_resource_name = models.CharField(max_length=512, blank=True)
    deployed_model_id = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True


class EndpointQuerySet(RemoteQuerySet):
    def shown(self) -> Self:
        return self.exclude(state=EndpointState.DELETED)

    def ready(self) -> Self:
        return self.filter(state=EndpointState.READY)


class Endpoint(ServedModel):
    """One endpoint with the first of its models; more of them are `further`, which share the traffic with it.

    `model_display_name` is empty when the model is called as the endpoint is.

    The remote ids are chosen before the call (`endpoint_user_id`, `model_user_id`), so creating twice cannot succeed.
    `wanted` is what the person asked for last: READY, UNDEPLOYED or DELETED; `state` follows it.
    `undeploy_at` belongs to the lease that a person gave it (`lease_until` is a worker's): only a READY row has one.
    """

    state = models.CharField(max_length=16, choices=EndpointState, default=EndpointState.DEPLOYING)
    wanted = models.CharField(max_length=16, choices=EndpointState, default=EndpointState.READY)
    job = models.ForeignKey(TuningJob, on_delete=models.SET_NULL, null=True, blank=True, related_name="endpoints")
    model_display_name = models.CharField(max_length=128, blank=True)
    automatic = models.BooleanField(default=False)
    # No address of its own: it answers on that of its region.
    shared_address = models.BooleanField(default=False)
    # Set while Vertex AI has still to be told of other numbers; the second says which wish was sent last.
    replicas_asked_at = models.DateTimeField(null=True, blank=True)
    replicas_sent_at = models.DateTimeField(null=True, blank=True)
    is_asleep = models.BooleanField(default=False)
    # {deployed model id: percent} of every model on it, as seen last; and what a person asked for, until it is so.
    traffic = models.JSONField(default=dict, blank=True)
    traffic_wanted = models.JSONField(default=dict, blank=True)
    traffic_asked_at = models.DateTimeField(null=True, blank=True)
    lease_kind = models.CharField(max_length=8, choices=LeaseKind, blank=True)
    lease_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    undeploy_at = models.DateTimeField(null=True, blank=True)
    # When its lease, and not a person, undeployed it.
    lease_ended_at = models.DateTimeField(null=True, blank=True)
    last_request_at = models.DateTimeField(null=True, blank=True)
    endpoint_user_id = models.CharField(max_length=63, unique=True)
    dedicated_dns = models.CharField(max_length=255, blank=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"]),
            models.Index(fields=["next_check_at"], name="endpoint_due", condition=Q(next_check_at__isnull=False)),
            models.Index(fields=["undeploy_at"], name="endpoint_leases", condition=Q(undeploy_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job"], name="one_automatic_endpoint_a_job", condition=Q(automatic=True)),
            models.CheckConstraint(
                condition=Q(publisher_model="") ^ Q(artifact_uri=""), name="endpoint_serves_exactly_one_model"
            ),
        ]

    @property
    def is_transient(self) -> bool:
        return self.state in ENDPOINT_TRANSIENT

    @property
    def model_name(self) -> str:
        return self.model_display_name or self.display_name

    @property
    def label(self) -> str:
        """Its name and what it serves, for a chat."""
        model = self.base_model.rpartition("@")[2]
        return f"{self.display_name} ({model})" if model else self.display_name


class EndpointEvent(models.Model):
    """What the console did with the endpoint or saw of it, in sentences."""

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="events")
    level = models.CharField(max_length=8, choices=EventLevel, default=EventLevel.INFO)
    message = SentenceField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
