from typing import Self

from django.db import models
from django.db.models import Q

from jobs.states import DEPLOYED_LIVE, DEPLOYED_TRANSIENT, DeployedState

from .endpoint import Endpoint
from .remote import PaidResource, RemoteQuerySet
from .tuning import TuningJob

# Of the local server: this computer itself.
LOCAL_MACHINE = "local-cpu"


class DeployedModelQuerySet(RemoteQuerySet):
    def live(self) -> Self:
        return self.filter(state__in=DEPLOYED_LIVE)

    def transient(self) -> Self:
        return self.filter(state__in=DEPLOYED_TRANSIENT)


class DeployedModel(PaidResource):
    """A model on an endpoint: a base model's weights (`publisher_model`) or a folder's (`artifact_uri`), on machines of
    its own.

    One that was not `made_here` was on an endpoint that a person attached: where it comes from may be unknown, and its
    entry in the registry is never deleted from here.
    `base_model` is empty for weights of unknown origin. `resource_name` is the endpoint's.
    `model_user_id` is chosen before the call, and `deployed_model_id`, too, unless it comes with its endpoint: so
    deploying twice cannot succeed. `automatic`: its tuning job asked for it.
    `share` of the traffic is what it was deployed with; `split_after` says who gets its traffic when it is undeployed,
    by deployed model id: empty, the others keep their proportions.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deployed_models")
    state = models.CharField(max_length=16, choices=DeployedState, default=DeployedState.DEPLOYING)
    job = models.ForeignKey(TuningJob, on_delete=models.SET_NULL, null=True, blank=True, related_name="deployed_models")
    automatic = models.BooleanField(default=False)
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
    # See jobs.services.endpoints.serving.spec. With `idle_minutes` in it, `min_replicas` is 0.
    serving_options = models.JSONField(default=dict, blank=True)
    available_replicas = models.PositiveSmallIntegerField(null=True, blank=True)
    # Set while Vertex AI has still to be told of other numbers; the second says which wish was sent last.
    replicas_asked_at = models.DateTimeField(null=True, blank=True)
    replicas_sent_at = models.DateTimeField(null=True, blank=True)
    share = models.PositiveSmallIntegerField(default=0)
    split_after = models.JSONField(default=dict, blank=True)

    operation_name = models.CharField(max_length=512, blank=True)
    stage = models.CharField(max_length=40, blank=True)
    # [[stage, ISO time it was first seen], …] of the deployment.
    stage_times = models.JSONField(default=list, blank=True)
    made_here = models.BooleanField(default=True)
    model_user_id = models.CharField(max_length=63)
    model_resource_name = models.CharField(max_length=512, blank=True)
    deployed_model_id = models.CharField(max_length=64, blank=True)

    objects = DeployedModelQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["next_check_at"], name="deployed_due", condition=Q(next_check_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "deployed_model_id"], name="one_model_a_deployed_id"),
            models.UniqueConstraint(fields=["job"], name="one_automatic_model_a_job", condition=Q(automatic=True)),
            models.UniqueConstraint(fields=["model_user_id"], name="one_model_an_id", condition=Q(made_here=True)),
            models.CheckConstraint(
                condition=(Q(publisher_model="") ^ Q(artifact_uri="")) | Q(made_here=False, artifact_uri=""),
                name="deployed_from_one_source",
            ),
        ]

    @property
    def is_transient(self) -> bool:
        return self.state in DEPLOYED_TRANSIENT

    @property
    def comes_with_endpoint(self) -> bool:
        """One request makes both, whose rows have one id."""
        return self.pk == self.endpoint_id
