from typing import TYPE_CHECKING

from django.db import models

from jobs.models.fields.deferred_text import DeferredTextField

if TYPE_CHECKING:
    from jobs.models.endpoint import Endpoint


class JoinsEndpoint(models.Model):
    """A job whose model is deployed beside others: on which endpoint, and with how many percent of its traffic.

    `join_problem`: why it was not, when the time had come; a sentence.
    """

    deploy_endpoint: "models.ForeignKey[Endpoint | None, Endpoint | None]" = models.ForeignKey(
        "jobs.Endpoint", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # It asked for an endpoint that exists; stays when that one's row goes.
    joins_endpoint = models.BooleanField(default=False)
    endpoint_share = models.PositiveSmallIntegerField(default=0)
    join_problem = DeferredTextField(blank=True)
    # See jobs.services.endpoints.serving.spec.
    endpoint_options = models.JSONField(default=dict, blank=True)

    class Meta:
        abstract = True
