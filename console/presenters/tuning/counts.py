"""How many tuning jobs there are in each group of states."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Count
from django.utils import timezone

from jobs.models import (
    TuningJob,
)

RECENT = timedelta(days=7)


def live_numbers(user: User) -> dict[int, int]:
    live = TuningJob.objects.visible_to(user).listed().live()
    return dict(live.order_by().values_list("status_group").annotate(count=Count("*")))


def count_ended(user: User) -> dict[int, int]:
    ended = TuningJob.objects.visible_to(user).listed().ended_since(timezone.now() - RECENT)
    return dict(ended.order_by().values_list("status_group").annotate(count=Count("*")))
