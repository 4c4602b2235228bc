"""The accounts of a console that several people use: who is an administrator, and who is not."""

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from jobs.errors import NotAllowedNow
from jobs.text.deferred import gettext as _


def add_person(name: str, password: str, *, is_administrator: bool = False) -> User:
    person = User(username=name, is_staff=is_administrator, is_superuser=is_administrator)
    try:
        person.clean_fields(exclude=["password"])
        validate_password(password, person)
        person.set_password(password)
        with transaction.atomic():
            person.save(force_insert=True)
    except ValidationError as error:
        raise NotAllowedNow(" ".join(error.messages)) from None
    except IntegrityError:
        raise NotAllowedNow(_("An account with this name already exists.")) from None
    return person


def set_administrator(person: User, is_administrator: bool) -> None:
    """Counts from the person's next click. Somebody has to stay who can share folders."""
    with transaction.atomic():
        others = User.objects.select_for_update().filter(is_active=True, is_superuser=True).exclude(pk=person.pk)
        if not is_administrator and not others.exists():
            raise NotAllowedNow(_("This is the only administrator. Make someone else an administrator first."))
        User.objects.filter(pk=person.pk).update(is_superuser=is_administrator, is_staff=is_administrator)
    person.refresh_from_db()
