from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.states import ENDPOINT_TRANSIENT, EndpointState

from .fields.deferred_text import DeferredTextField
from .remote import RemoteQuerySet, RemoteResource
from .tuning import EventLevel

if TYPE_CHECKING:
    from .deployed_model import DeployedModel

MAX_REPLICAS = 100
LONGEST_LEASE = 24 * 30  # hours


class LeaseKind(models.TextChoices):
    """When an endpoint is undeployed by itself. `lease_hours` says how long it may serve, or stand idle."""

    FIXED = "FIXED", _("After a fixed time")
    IDLE = "IDLE", _("After a period without requests")


class Reservation(models.TextChoices):
    """Compute Engine machines that a deployed model may use; as `ReservationAffinity.Type` calls them."""

    ANY = "ANY_RESERVATION", _("Any that fits")
    SPECIFIC = "SPECIFIC_RESERVATION", _("Only these")


class EndpointQuerySet(RemoteQuerySet):
    def not_deleted(self) -> Self:
        return self.exclude(state=EndpointState.DELETED)

    def ready(self) -> Self:
        return self.filter(state=EndpointState.READY)

    def with_model(self) -> Self:
        """For those of whom it is told which model they serve."""
        return self.select_related("main_model")


class Endpoint(RemoteResource):
    """An address that answers, and how its requests are shared out among its `deployed_models`.

    The first of them comes with the request that makes the endpoint; until it serves, or has failed, the endpoint is
    DEPLOYING. `main_model` stands for the endpoint where one model is named: its first one, and when that leaves while
    others stay, the one of them with the most traffic.

    The remote id is chosen before the call, so creating twice cannot succeed. `phase` says whether it exists: the
    request that makes it belongs to its first model.
    `wanted` is what the person asked for last: READY, UNDEPLOYED or DELETED; `state` follows it.
    One that was not `made_here` exists in Vertex AI anyway; a person attached it. Nothing but a person who asks for it
    undeploys or deletes it, and it has no lease.
    `undeploy_at` belongs to the lease that a person gave it (`lease_until` is a worker's): only a READY row has one.
    """

    state = models.CharField(max_length=16, choices=EndpointState, default=EndpointState.DEPLOYING)
    wanted = models.CharField(max_length=16, choices=EndpointState, default=EndpointState.READY)
    main_model = models.ForeignKey(
        "jobs.DeployedModel", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    operation_name = models.CharField(max_length=512, blank=True)
    # No address of its own: it answers on that of its region.
    shared_address = models.BooleanField(default=False)
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
    made_here = models.BooleanField(default=True)
    # The last part of its name.
    endpoint_user_id = models.CharField(max_length=63)
    dedicated_dns = models.CharField(max_length=255, blank=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"]),
            models.Index(fields=["next_check_at"], name="endpoint_due", condition=Q(next_check_at__isnull=False)),
            models.Index(fields=["undeploy_at"], name="endpoint_leases", condition=Q(undeploy_at__isnull=False)),
            models.Index(fields=["endpoint_user_id"], name="endpoint_attached", condition=Q(made_here=False)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint_user_id"], name="one_endpoint_an_id", condition=Q(made_here=True)
            ),
            models.CheckConstraint(condition=Q(made_here=True) | Q(undeploy_at=None), name="no_lease_on_attached"),
        ]

    @property
    def is_transient(self) -> bool:
        return self.state in ENDPOINT_TRANSIENT

    @property
    def model(self) -> "DeployedModel":
        """`main_model`, which every endpoint has. Lists select it along; it knows this very endpoint."""
        found = self.main_model
        assert found is not None
        found.endpoint = self
        return found

    @property
    def label(self) -> str:
        """Its name and what it serves, for a chat."""
        model = self.model.base_model.rpartition("@")[2]
        return f"{self.display_name} ({model})" if model else self.display_name


class EndpointEvent(models.Model):
    """What the console did with the endpoint or saw of it, in sentences."""

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="events")
    level = models.CharField(max_length=8, choices=EventLevel, default=EventLevel.INFO)
    message = DeferredTextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
