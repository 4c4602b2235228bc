"""Folders of Cloud Storage that an administrator shares with everybody or with one person."""

from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from jobs.errors import NotAllowedNow
from jobs.models import SharedFolder
from jobs.models.fields.uris import canonical
from jobs.text.deferred import gettext as _

from .policies import why_not_share


def share_folder(administrator: User, *, uri: str, user: User | None, may_write: bool) -> SharedFolder:
    """With everybody when `user` is None. Folders may overlap; what several give is added up."""
    _check(administrator)
    try:
        place = canonical(uri)
    except ValueError as error:
        raise NotAllowedNow(str(error)) from None
    folder = SharedFolder(uri=place, user=user, may_write=may_write, created_by=administrator)
    try:
        with transaction.atomic():
            folder.save(force_insert=True)
    except IntegrityError:
        raise NotAllowedNow(_("This folder is already shared with them. Remove that entry first.")) from None
    return folder


def unshare_folder(administrator: User, folder_id: UUID) -> None:
    """Jobs and endpoints that use it go on; nothing new can be started from it."""
    _check(administrator)
    SharedFolder.objects.filter(pk=folder_id).delete()


def _check(administrator: User) -> None:
    if reason := why_not_share(administrator):
        raise NotAllowedNow(reason)
