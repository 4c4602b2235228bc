import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone

from .fields.deferred_text import DeferredTextField


class StorageListingQuerySet(models.QuerySet["StorageListing"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class StorageListing(models.Model):
    """One page of what a worker found below `uri`, for the person who looks there; an empty `uri` is the buckets.

    `folders` are names, `objects_found` [{"name", "size", "updated"}]. `error` is a sentence with the remedy.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    uri = models.CharField(max_length=1024, blank=True)
    page_token = models.CharField(max_length=1500, blank=True)
    asked_at = models.DateTimeField()
    fetched_at = models.DateTimeField(null=True, blank=True)
    folders = models.JSONField(default=list)
    objects_found = models.JSONField(default=list)
    next_token = models.CharField(max_length=1500, blank=True)
    error = DeferredTextField(blank=True)

    objects = StorageListingQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "uri", "page_token"], name="one_listing_a_page")]

    @property
    def is_awaited(self) -> bool:
        return self.fetched_at is None or self.fetched_at < self.asked_at


class SharedFolderQuerySet(models.QuerySet["SharedFolder"]):
    def shared_with(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(models.Q(user_id=user.pk) | models.Q(user=None))


class SharedFolder(models.Model):
    """A folder that an administrator opens, and all that lies in it; to everybody where `user` is None."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    uri = models.CharField(max_length=1024)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    may_write = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SharedFolderQuerySet.as_manager()

    class Meta:
        ordering = ["uri", "user__username"]
        constraints = [
            models.UniqueConstraint(fields=["uri", "user"], name="folder_shared_once_with_a_person"),
            models.UniqueConstraint(
                fields=["uri"], condition=models.Q(user=None), name="folder_shared_once_with_everybody"
            ),
        ]

    def __str__(self) -> str:
        return self.uri
