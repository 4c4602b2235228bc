from importlib import import_module

import pytest
from django.apps import apps

from jobs.models import AccountPreference, SharedFolder
from jobs.services.storage import policies
from tests.support import factories

pytestmark = pytest.mark.django_db
migration = import_module("jobs.migrations.0026_shared_folder")
BUCKET = "gs://garden-local"


def chose(name, prefix, **values):
    user = factories.user(username=name, **values)
    AccountPreference.objects.create(user=user, defaults={"output_prefix": prefix} if prefix else {})
    return user


def test_who_had_chosen_an_output_folder_keeps_it(owner):
    ann, bob = chose("ann", f"{BUCKET}/ann"), chose("bob", "gs://bucket-of-bob")
    chose("boss", f"{BUCKET}/boss", is_superuser=True)
    chose("nobody", "")
    factories.job(owner=ann, output_uri=f"{BUCKET}/ann/ships")
    migration.keep_own_defaults(apps, None)
    assert set(SharedFolder.objects.values_list("uri", "user", "may_write", "created_by")) == {
        (f"{BUCKET}/ann", ann.pk, True, None), ("gs://bucket-of-bob", bob.pk, True, None),
    }  # fmt: skip
    assert policies.why_not_write(ann, f"{BUCKET}/ann/planes") == ""


@pytest.mark.parametrize("prefix", [BUCKET, f"{BUCKET}/tuning", f"{BUCKET}/datasets", f"{BUCKET}/tuning/ships/final"])
def test_but_not_what_lies_near_the_things_of_others(owner, prefix):
    bob = chose("bob", prefix)
    factories.job(owner=owner, output_uri=f"{BUCKET}/tuning/ships")
    migration.keep_own_defaults(apps, None)
    assert (SharedFolder.objects.count(), policies.why_not_read(bob, prefix)[:21]) == (0, "You have no access to")


def test_and_not_what_two_had_chosen():
    chose("ann", f"{BUCKET}/team")
    chose("bob", f"{BUCKET}/team/bob")
    migration.keep_own_defaults(apps, None)
    assert SharedFolder.objects.count() == 0


def test_what_jobs_wrote_before_stays_their_owners(owner):
    ann = factories.user(username="ann")
    factories.job(owner=ann, output_uri=f"{BUCKET}/tuning/ships")
    migration.keep_own_defaults(apps, None)
    assert policies.why_not_read(ann, f"{BUCKET}/tuning/ships/postprocess") == ""
