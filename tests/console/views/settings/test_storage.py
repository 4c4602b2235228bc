"""The page of folders that an administrator shares."""

import uuid

import pytest

from jobs.models import SharedFolder
from jobs.services.storage import sharing
from tests.support import factories

pytestmark = pytest.mark.django_db
URL = "/settings/storage/"


@pytest.fixture
def administrator(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def test_a_folder_is_shared_with_everybody_or_with_one(administrator, owner, stranger):
    for values in (
        {"uri": "gs://team-bucket/base/"},
        {"uri": "gs://team-bucket/out", "user": stranger.pk, "may_write": "on"},
    ):
        response = administrator.post(URL, values)
        assert (response.status_code, response["Location"]) == (303, URL)
    assert list(SharedFolder.objects.values_list("uri", "user", "may_write", "created_by")) == [
        ("gs://team-bucket/base", None, False, owner.pk), ("gs://team-bucket/out", stranger.pk, True, owner.pk),
    ]  # fmt: skip
    page = words(administrator.get(URL))
    for shown in (
        "gs://team-bucket/base",
        "Everyone",
        "Read and write",
        ">stranger<",
        "gs://team-bucket/out is shared",
    ):
        assert shown in page


@pytest.mark.parametrize(
    ("values", "field", "problem"),
    [
        ({"uri": ""}, "uri", "Write a Cloud Storage folder, such as gs://my-bucket/team."),
        ({"uri": "gs://team-bucket/../x"}, "uri", "The path can't contain . or .. as a folder."),
        ({"uri": "gs://shared"}, "uri", "This folder is already shared with them. Remove that entry first."),
        (
            {"uri": "gs://team-bucket/a", "user": "4711"},
            "user",
            "This person has no account any more. Choose another one.",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(administrator, owner, values, field, problem):
    sharing.share_folder(owner, uri="gs://shared", user=None, may_write=False)
    response = administrator.post(URL, {"may_write": "on", **values})
    assert (response.status_code, dict(response.context["form"].errors)) == (422, {field: [problem]})
    assert f'value="{values["uri"]}"' in words(response) or not values["uri"]
    assert SharedFolder.objects.count() == 1


def test_who_has_left_is_not_offered(administrator):
    factories.stranger(is_active=False)
    factories.team_mate()
    assert [str(user) for user in administrator.get(URL).context["form"].fields["user"].queryset] == [
        "owner",
        "team-mate",
    ]


def test_removing_asks_first(administrator, owner, stranger):
    folder = sharing.share_folder(owner, uri="gs://team-bucket/base", user=stranger, may_write=False)
    place = f"{URL}{folder.pk}/remove/"
    assert place in words(administrator.get(URL))
    page = words(administrator.get(place))
    assert ("Stop sharing gs://team-bucket/base?" in page, "stranger can no longer start anything new" in page) == (
        True,
        True,
    )
    assert SharedFolder.objects.count() == 1
    assert administrator.post(place)["Location"] == URL
    assert "gs://team-bucket/base is no longer shared" in words(administrator.get(URL))
    assert (SharedFolder.objects.count(), administrator.get(place).status_code) == (0, 404)


def test_there_is_no_such_page_for_others(client, owner, stranger):
    folder = sharing.share_folder(owner, uri="gs://team-bucket/base", user=None, may_write=False)
    client.force_login(stranger)
    for place in (URL, f"{URL}{folder.pk}/remove/", f"{URL}{uuid.uuid4()}/remove/"):
        assert (client.get(place).status_code, client.post(place, {"uri": "gs://bucket"}).status_code) == (404, 404)
    assert "Shared folders" not in words(client.get("/settings/about/"))
    assert SharedFolder.objects.count() == 1


def test_the_page_is_linked_for_administrators(administrator):
    assert f'href="{URL}"' in words(administrator.get("/settings/about/"))


def test_queries_do_not_grow(administrator, owner, django_assert_num_queries):
    for number in range(2):
        sharing.share_folder(owner, uri=f"gs://team-bucket/{number}", user=owner, may_write=False)
    with django_assert_num_queries(5):
        administrator.get(URL)
    for number in range(2, 6):
        sharing.share_folder(owner, uri=f"gs://team-bucket/{number}", user=owner, may_write=False)
    with django_assert_num_queries(5):
        administrator.get(URL)
