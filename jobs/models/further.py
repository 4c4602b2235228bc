from django.db import models
from django.db.models import Q

from jobs.states import DEPLOYED_LIVE, DEPLOYED_TRANSIENT, DeployedState

from .endpoint import Endpoint, ServedModel
from .remote import RemoteQuerySet
from .tuning import TuningJob


class FurtherModelQuerySet(RemoteQuerySet):
    def live(self) -> "FurtherModelQuerySet":
        return self.filter(state__in=DEPLOYED_LIVE)

    def transient(self) -> "FurtherModelQuerySet":
        return self.filter(state__in=DEPLOYED_TRANSIENT)


class FurtherModel(ServedModel):
    """A model on an endpoint beside the one that the endpoint's own row stands for.

    `resource_name` is the endpoint's. `deployed_model_id` is chosen before the call, so that deploying twice cannot
    succeed. `share` of the traffic is what it was deployed with; `split_after` says who gets its traffic when it is
    undeployed, by deployed model id: empty, the others keep their proportions.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="further")
    state = models.CharField(max_length=16, choices=DeployedState, default=DeployedState.DEPLOYING)
    job = models.ForeignKey(TuningJob, on_delete=models.SET_NULL, null=True, blank=True, related_name="further")
    share = models.PositiveSmallIntegerField(default=0)
    split_after = models.JSONField(default=dict, blank=True)

    objects = FurtherModelQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["next_check_at"], name="further_due", condition=Q(next_check_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "deployed_model_id"], name="one_model_a_deployed_id"),
            models.CheckConstraint(
                condition=Q(publisher_model="") ^ Q(artifact_uri=""), name="further_serves_exactly_one_model"
            ),
        ]

    @property
    def is_transient(self) -> bool:
        return self.state in DEPLOYED_TRANSIENT

    @property
    def model_name(self) -> str:
        return self.display_name
