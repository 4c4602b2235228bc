"""Who may reach what in `gs://`, as a table of cases; the attacks are in tests/security."""

from uuid import uuid4

import pytest

from jobs.errors import NotAllowedNow
from jobs.models import SharedFolder
from jobs.services.storage import policies, sharing
from tests.support import factories
from tests.support.stores import use

pytestmark = pytest.mark.django_db
BUCKET = "gs://garden-local"


@pytest.fixture
def ann():
    return factories.user(username="ann")


@pytest.fixture
def bob():
    return factories.user(username="bob")


def may_read(user, *uris):
    return [not policies.why_not_read(user, uri) for uri in uris]


def may_write(user, *uris):
    return [not policies.why_not_write(user, uri) for uri in uris]


def test_an_administrator_reaches_everything(owner):
    assert (
        may_read(owner, "gs://any-bucket", f"{BUCKET}/anything") == may_write(owner, "gs://any", BUCKET) == [True] * 2
    )
    assert policies.output_root(owner) == f"{BUCKET}/tuning"


@pytest.mark.threat("T13")
@pytest.mark.parametrize("place", ["gs://garden-local/console", "gs://files"])
def test_nobody_gets_at_the_files_of_the_console_past_its_pages(owner, ann, settings, place):
    """Not even an administrator, nor who is shared all around it: datasets and pictures of everybody lie there."""
    use(settings, place)
    bucket, inside = place.rpartition("/console")[0] or place, f"{place}/datasets/x.jsonl"
    if bucket != place:
        sharing.share_folder(owner, uri=bucket, user=None, may_write=True)
        assert may_read(ann, bucket, f"{place}-2") == may_read(owner, bucket, f"{place}-2") == [True] * 2
    assert may_read(owner, place, inside) == may_read(ann, place, inside) == [False] * 2
    assert may_write(owner, place, inside, bucket) == may_write(ann, place, inside, bucket) == [False] * 3
    assert (
        policies.list_hidden_names(owner, bucket)
        == policies.list_hidden_names(ann, bucket)
        == ({"console"} if bucket != place else set())
    )
    use(settings, "")
    assert may_read(owner, place, inside) == may_write(owner, place, inside) == [True] * 2


def test_the_output_of_ones_own_jobs(ann, bob):
    factories.job(owner=ann, output_uri=f"{BUCKET}/tuning/ships")
    inside = f"{BUCKET}/tuning/ships/postprocess/node-0/checkpoints/final"
    beside = (BUCKET, f"{BUCKET}/tuning", f"{BUCKET}/tuning/ships2", f"{BUCKET}/tuning/ship", f"{BUCKET}/tuning/Ships")
    assert may_read(ann, f"{BUCKET}/tuning/ships", f"{BUCKET}/tuning/ships/", inside) == [True] * 3
    assert may_read(ann, *beside) == [False] * 5
    assert may_read(bob, f"{BUCKET}/tuning/ships", inside, *beside) == [False] * 7


def test_ones_own_datasets(ann, bob):
    dataset = factories.dataset(owner=ann)
    uri = f"{BUCKET}/datasets/{dataset.pk}.jsonl"
    assert (may_read(ann, uri), may_read(bob, uri)) == ([True], [False])
    others = (f"{BUCKET}/datasets", f"{uri}/x", uri.upper(), f"{BUCKET}/datasets/{dataset.pk.hex}.jsonl", uri[:-6])
    assert may_read(ann, *others) == [False] * 5


def test_ones_own_folder(ann, bob):
    own = f"{BUCKET}/tuning/users/{ann.pk}"
    assert (policies.own_folder(ann), policies.output_root(ann)) == (own, own)
    assert may_read(ann, own, f"{own}/a") == may_write(ann, own, f"{own}/a") == [True] * 2
    assert may_read(ann, f"{own}0", f"{BUCKET}/tuning/users") == may_write(ann, f"{own}0", BUCKET) == [False] * 2
    assert may_read(bob, own, f"{own}/a") == may_write(bob, own, f"{own}/a") == [False] * 2


def test_a_folder_belongs_to_the_job_that_writes_there_whoever_has_the_one_above(ann, bob, owner):
    own = policies.own_folder(ann)
    factories.job(owner=bob, output_uri=f"{own}/guest")
    assert (may_read(ann, f"{own}/guest/x"), may_write(ann, f"{own}/guest/x")) == ([False], [False])
    assert (may_read(bob, f"{own}/guest/x"), may_read(bob, own), may_write(bob, f"{own}/guest/x")) == (
        [True],
        [False],
        [False],
    )
    factories.job(owner=ann, output_uri=f"{own}/guest", owns_output=False)
    assert may_read(ann, f"{own}/guest") == [False]


def test_a_shared_folder(ann, bob, owner):
    sharing.share_folder(owner, uri="gs://team-bucket/base/", user=ann, may_write=False)
    sharing.share_folder(owner, uri="gs://team-bucket/all", user=None, may_write=True)
    inside = ("gs://team-bucket/base", "gs://team-bucket/base/x", "gs://team-bucket/all/x")
    assert (may_read(ann, *inside), may_read(bob, *inside)) == ([True] * 3, [False, False, True])
    assert (may_write(ann, *inside), may_write(bob, *inside)) == ([False, False, True], [False, False, True])
    assert may_read(ann, "gs://team-bucket", "gs://team-bucket/base2") == [False] * 2
    assert may_read(factories.stranger(is_superuser=False), "gs://team-bucket/all") == [True]


def test_sharing_opens_what_jobs_write_there_but_nobody_elses_job_writes_into_it(ann, bob, owner):
    sharing.share_folder(owner, uri="gs://team-bucket/all", user=None, may_write=True)
    factories.job(owner=ann, output_uri="gs://team-bucket/all/ann")
    assert may_read(bob, "gs://team-bucket/all/ann") == [True]
    assert may_write(bob, "gs://team-bucket/all/ann", "gs://team-bucket/all/ann/x") == [False] * 2
    named = "Another tuning job writes to gs://team-bucket/all/ann. Choose a folder that is not above or below it."
    assert policies.why_not_claim(bob, "gs://team-bucket/all", uuid4()) == named
    assert policies.why_not_claim(bob, "gs://team-bucket/all/ann2", uuid4()) == ""


def test_two_jobs_of_one_person_have_folders_apart(ann):
    own = policies.own_folder(ann)
    job = factories.job(owner=ann, output_uri=f"{own}/run")
    taken = "Another tuning job already writes to this folder. Choose a different folder."
    above = f"Another tuning job writes to {own}/run. Choose a folder that is not above or below it."
    asked = [f"{own}/run", f"{own}/run/more", own, f"{own}/run2"]
    assert [policies.why_not_claim(ann, uri, uuid4()) for uri in asked] == [taken, above, above, ""]
    assert policies.why_not_claim(ann, f"{own}/run", job.pk) == ""


def test_what_is_not_shared_any_more(ann, owner):
    folder = sharing.share_folder(owner, uri="gs://team-bucket", user=None, may_write=False)
    assert may_read(ann, "gs://team-bucket/x") == [True]
    sharing.unshare_folder(owner, folder.pk)
    assert may_read(ann, "gs://team-bucket/x") == [False]


def test_only_an_administrator_shares(ann, owner):
    folder = sharing.share_folder(owner, uri="gs://team-bucket", user=ann, may_write=False)
    with pytest.raises(NotAllowedNow, match=r"^Only an administrator can share folders\.$"):
        sharing.share_folder(ann, uri=BUCKET, user=ann, may_write=True)
    with pytest.raises(NotAllowedNow, match=r"^Only an administrator can share folders\.$"):
        sharing.unshare_folder(ann, folder.pk)
    assert list(SharedFolder.objects.values_list("uri", flat=True)) == ["gs://team-bucket"]


@pytest.mark.parametrize("everybody", [True, False])
def test_a_folder_is_shared_once_with_the_same_people(ann, owner, everybody):
    user = None if everybody else ann
    sharing.share_folder(owner, uri="gs://team-bucket/a", user=user, may_write=False)
    with pytest.raises(NotAllowedNow, match="already shared with them"):
        sharing.share_folder(owner, uri="gs://team-bucket/a/", user=user, may_write=True)
    sharing.share_folder(owner, uri="gs://team-bucket", user=user, may_write=False)
    assert SharedFolder.objects.count() == 2


def test_what_is_refused_names_the_place_and_the_remedy_and_not_whether_it_exists(ann, bob):
    factories.job(owner=bob, output_uri=f"{BUCKET}/there")
    answers = {policies.why_not_read(ann, f"{BUCKET}/{name}").replace(name, "NAME") for name in ("there", "nowhere")}
    assert answers == {
        f"You have no access to {BUCKET}/NAME. You can use your own datasets, the output directories of your own "
        "tuning jobs, and folders that an administrator shares with you."
    }
    answers = {
        policies.why_not_claim(ann, f"{BUCKET}/{name}", uuid4()).replace(name, "NAME") for name in ("there", "nowhere")
    }
    assert answers == {
        f"You don't have permission to write to {BUCKET}/NAME. Choose a folder below {policies.own_folder(ann)}, or "
        "ask an administrator to share a folder with you."
    }


def test_the_way_to_ones_folders(ann, bob, owner):
    factories.job(owner=ann, output_uri=f"{BUCKET}/old/ships")
    factories.job(owner=bob, output_uri=f"{BUCKET}/old/planes")
    sharing.share_folder(owner, uri="gs://team-bucket/base", user=ann, may_write=False)
    assert policies.folders_below(ann, "") == ["garden-local", "team-bucket"]
    assert policies.folders_below(ann, BUCKET) == ["old", "tuning"]
    assert policies.folders_below(ann, f"{BUCKET}/old") == ["ships"]
    assert policies.folders_below(ann, f"{BUCKET}/tuning/users") == [str(ann.pk)]
    assert policies.folders_below(bob, "gs://team-bucket") == []


def test_without_a_bucket_of_the_console(ann, settings):
    settings.VERTEX_BUCKET = ""
    assert (policies.own_folder(ann), policies.output_root(ann), policies.folders_below(ann, "")) == ("", "", [])
    assert policies.why_not_write(ann, "gs://any-bucket/a") == (
        "You don't have permission to write to gs://any-bucket/a. Ask an administrator to share a folder with you."
    )
