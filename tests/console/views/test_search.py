import pytest

from tests.support import factories

pytestmark = pytest.mark.django_db
URL = "/search/"


@pytest.fixture
def search(client, owner):
    client.force_login(owner)
    return lambda query="", **values: client.get(f"{URL}{query}", **values)


def found(response):
    return {str(group.kind.title): [str(hit.row) for hit in group.hits] for group in response.context["groups"]}


def one_of_each(who, name):
    factories.publisher_model(name=f"google/{name}@{name}", display_name=name)
    job = factories.job(
        owner=who, display_name=name, state="SUCCEEDED", dataset=factories.dataset(owner=who, name=name)
    )
    endpoint = factories.ready_endpoint(owner=who, display_name=name, job=job, artifact_uri="gs://bucket/final")
    factories.conversation(owner=who, endpoint=endpoint, title=name)


def test_a_visitor_is_asked_to_sign_in(client):
    assert client.get(URL).status_code == 302


def test_each_kind_is_a_group(search, owner):
    one_of_each(owner, "captain")
    response = search("?q=CAPTAIN")
    assert [str(group.kind.title) for group in response.context["groups"]] == [
        "Models", "Tuned models", "Tuning jobs", "Endpoints", "Datasets", "Chats",
    ]  # fmt: skip
    assert response.content.decode().count("<mark>captain</mark></a>") == 6


def test_a_tuned_model_leads_to_its_own_page(search, owner):
    job = factories.job(owner=owner, display_name="Captain", state="SUCCEEDED")
    urls = {str(group.kind.title): group.hits[0].url for group in search("?q=captain").context["groups"]}
    assert urls == {"Tuned models": f"/models/{job.pk}/", "Tuning jobs": f"/tuning/jobs/{job.pk}/"}


def test_more_tuned_models_are_in_their_list(search, owner):
    for number in range(6):
        factories.job(owner=owner, display_name=f"Captain {number}", state="SUCCEEDED")
    assert [group.all_url for group in search("?q=captain").context["groups"]] == ["/models/?q=captain", "/tuning/"]


def test_what_belongs_to_others_is_not_found(search, stranger):
    one_of_each(stranger, "captain")
    assert found(search("?q=captain")) == {"Models": ["captain"]}


def test_a_deleted_endpoint_and_a_model_no_longer_listed_are_not_found(search, owner):
    factories.endpoint(owner=owner, display_name="Bot", state="DELETED")
    factories.publisher_model(display_name="Bot", is_listed=False)
    assert found(search("?q=bot")) == {}


def test_every_word_must_be_there(search, owner):
    factories.endpoint(owner=owner, display_name="Captain Ahab")
    assert found(search("?q=ahab+captain")) == {"Endpoints": ["Captain Ahab"]}
    assert found(search("?q=ahab+bob")) == {}


def test_five_are_shown_and_the_rest_is_a_link_away(search, owner):
    for number in range(5):
        factories.publisher_model(name=f"meta/bot@bot-{number}", display_name=f"Bot {number}")
    assert [group.all_url for group in search("?q=bot").context["groups"]] == [""]
    factories.publisher_model(name="meta/bot@bot-5", display_name="Bot 5")
    (group,) = search("?q=bot").context["groups"]
    assert (len(group.hits), group.all_url) == (5, "/model-garden/?q=bot")


def test_the_number_of_queries_does_not_grow(search, owner, django_assert_num_queries):
    for number in (1, 2, 3):
        one_of_each(owner, f"captain-{number}")
        with django_assert_num_queries(9):
            search("?q=captain")


@pytest.mark.parametrize("query", ["", "?q=", "?q=+%00+"])
def test_nothing_asked_is_an_invitation(search, query, django_assert_num_queries):
    with django_assert_num_queries(3):
        assert "What are you looking for?" in search(query).content.decode()


def test_nothing_found_says_so_and_escapes(search):
    content = search("?q=%3Cscript%3Ealert(1)").content.decode()
    assert "Nothing found for “&lt;script&gt;alert(1)”" in content
    assert "<script>alert" not in content


def test_the_box_at_the_top_leads_here_and_keeps_its_words_only_here(client, search):
    assert 'action="/search/"' in search("?q=bot").content.decode()
    boxes = [
        client.get(url).content.decode().split('id="search"')[1].split("</form>")[0]
        for url in ("/model-garden/?q=bot", "/search/?q=bot")
    ]
    assert ['value="bot"' in box for box in boxes] == [False, True]


def test_a_chat_without_a_title_can_still_be_opened(search, owner):
    endpoint = factories.ready_endpoint(owner=owner, display_name="Bot")
    factories.conversation(owner=owner, endpoint=endpoint, title="")
    assert "Untitled chat" in search("?q=bot").content.decode()


def test_head_is_answered_as_get_is(client, owner):
    client.force_login(owner)
    assert client.head(f"{URL}?q=bot").status_code == 200
