from django.conf import settings
from django.db import models
from django.utils import timezone


class QueuePause(models.Model):
    """One row, of id 1, while the queue of tuning jobs is paused; none while it is not. `name`: who paused it, which
    stays when the account goes."""

    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=150)
    since = models.DateTimeField(default=timezone.now)
