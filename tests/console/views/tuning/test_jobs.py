import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser

from jobs.models import Endpoint, Metric, TuningDraft
from jobs.services.tuning import queue
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
CHAT = re.compile(r'href="/studio/chat/\?endpoint=([0-9a-f-]+)"')


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def url(job, rest=""):
    return f"/tuning/jobs/{job.pk}/{rest}"


def fragment(visitor, job):
    return words(visitor.get(url(job, "status/"), **HTMX))


def phases(text):
    return re.findall(r'<li class="(\w+)"', text)


def running(**values):
    now = timezone.now()
    times = {"started_at": now, "first_step_at": now - timedelta(seconds=278), "last_step_at": now}
    return factories.job(
        **{
            "state": "RUNNING",
            "total_steps": 420,
            "step": 140,
            "epoch": 1.0,
            "epochs": 3,
            "train_loss": 2.0,
            **times,
            **values,
        }
    )


def points(job, *rows):
    """(tag, step, value, seconds after noon) each."""
    for tag, step, value, seconds in rows:
        at = factories.NOW + timedelta(seconds=seconds)
        Metric.objects.create(job=job, tag=tag, step=step, value=value, wall_time=at)


def test_a_running_job_shows_where_it_is(visitor):
    text = fragment(visitor, running(train_loss=1.5, eval_loss=1.75))
    for shown in ("2 / 3", "140 / 420", "33%", "1.500", "1.750", "≈ 9 min 20 s"):
        assert shown in text


def test_what_is_not_known_is_not_shown(visitor):
    text = fragment(visitor, factories.job(state="QUEUED"))
    assert [word for word in ("Step", "Time left", "Elapsed", "<progress") if word in text] == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": "QUEUED"}, "current todo todo todo todo"),
        ({"state": "PENDING"}, "done current todo todo todo"),
        ({"state": "RUNNING", "step": 3}, "done done current todo todo"),
        ({"state": "RUNNING", "step": 3, "auto_deploy": True}, "done done current todo todo todo"),
        ({"state": "RUNNING", "step": 9, "total_steps": 9}, "done done done current todo"),
        ({"state": "FAILED", "step": 3}, "done done stopped todo todo"),
        ({"state": "CANCELLED"}, "stopped todo todo todo todo"),
        ({"state": "SUCCEEDED", "step": 9}, "done done done done done"),
        ({"state": "SUCCEEDED", "step": 9, "auto_deploy": True}, "done done done done current todo"),
    ],
)
def test_the_phases_are_those_that_are_known(visitor, values, expected):
    assert phases(fragment(visitor, factories.job(**values))) == expected.split()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("DEPLOYING", "done done done done current todo"),
        ("READY", "done done done done done done"),
        ("FAILED", "done done done done stopped todo"),
    ],
)
def test_the_endpoint_belongs_to_the_phases(visitor, state, expected):
    job = factories.job(state="SUCCEEDED", step=9, auto_deploy=True, next_check_at=None)
    factories.endpoint(job=job, state=state, artifact_uri="gs://b/final", automatic=True)
    assert phases(fragment(visitor, job)) == expected.split()


def test_while_the_model_is_saved_no_time_is_promised(visitor):
    assert "Time left" not in fragment(visitor, running(step=420))


def test_a_live_job_fetches_itself_by_bell_and_by_clock(visitor):
    job = running()
    text = fragment(visitor, job)
    trigger = f"job-{job.pk} from:body throttle:500ms, live-refresh from:body throttle:500ms, every 10s"
    assert f'hx-get="{url(job, "status/")}?tab=monitor&amp;charts=4" hx-trigger="{trigger}"' in text


@pytest.mark.parametrize("state", ["SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"])
def test_an_ended_job_does_not_fetch_itself_any_more(visitor, state):
    text = fragment(visitor, factories.job(state=state))
    assert ("hx-trigger" in text, "hx-get" in text) == (False, False)


def test_a_job_whose_endpoint_is_on_its_way_goes_on_fetching(visitor):
    job = factories.job(state="SUCCEEDED", auto_deploy=True, next_check_at=None)
    factories.endpoint(job=job, artifact_uri="gs://b/final")
    assert "hx-trigger" in fragment(visitor, job)


def test_a_finished_job_leads_to_the_chat_and_to_the_endpoint(visitor):
    job = factories.job(state="SUCCEEDED", next_check_at=None)
    endpoint = factories.ready_endpoint(job=job, artifact_uri="gs://b/final")
    text = words(visitor.get(url(job)))
    assert ("Tuning succeeded" in text, "The model is deployed and ready." in text) == (True, True)
    assert (f"/studio/chat/?endpoint={endpoint.pk}" in text, f"/endpoints/{endpoint.pk}/" in text) == (True, True)


def test_a_failed_job_says_why_and_offers_another_try(visitor):
    job = factories.job(state="FAILED", error_code="INVALID_ARGUMENT", error_message="Row 31 is too long. Shorten it.")
    text = words(visitor.get(url(job)))
    assert ("Row 31 is too long. Shorten it." in text, "INVALID_ARGUMENT" in text, "Edit and retry" in text) == (
        True,
        True,
        True,
    )


def test_a_job_that_waits_says_for_what(visitor):
    assert "The quota is used up." in fragment(visitor, factories.job(state="PENDING", notice="The quota is used up."))


def test_an_unknown_outcome_is_explained_and_asks_for_a_decision(visitor):
    text = words(visitor.get(url(factories.job(phase="NEEDS_DECISION"))))
    assert ("Start again" in text, "Give up" in text, "both may cost money" in text) == (True, True, True)
    waiting = words(visitor.get(url(factories.job(phase="AMBIGUOUS"))))
    assert ("Start again" in waiting, "doesn't resend the request until it knows the outcome" in waiting) == (
        False,
        True,
    )


@pytest.mark.parametrize(("again", "state", "phase"), [("yes", "QUEUED", "RETRY_OK"), ("no", "FAILED", "CLOSED")])
def test_the_decision_is_taken(visitor, again, state, phase):
    job = factories.job(phase="NEEDS_DECISION")
    response = visitor.post(url(job, "decide/"), {"again": again})
    job.refresh_from_db()
    assert (response.status_code, response.url, job.state, job.phase) == (303, url(job), state, phase)


def test_a_decision_needs_an_answer(visitor):
    job = factories.job(phase="NEEDS_DECISION")
    assert visitor.post(url(job, "decide/")).status_code == 400


def test_cancelling_goes_back_to_where_it_was_asked_for(visitor):
    job = factories.job()
    response = visitor.post(url(job, "cancel/"), {"next": "/tuning/"})
    job.refresh_from_db()
    assert (response.status_code, response.url, job.state) == (303, "/tuning/", "CANCELLED")


def test_cancelling_by_htmx_loads_the_page_again(visitor):
    job = running(phase="BOUND")
    response = visitor.post(url(job, "cancel/"), **HTMX)
    job.refresh_from_db()
    assert (response.status_code, response["HX-Redirect"], job.state) == (204, url(job), "CANCELLING")


def test_an_ended_job_is_not_cancelled(visitor):
    response = visitor.post(url(factories.job(state="SUCCEEDED"), "cancel/"), **HTMX)
    assert (response.status_code, "There is nothing to cancel" in words(response)) == (409, True)


def test_cancel_asks_first_and_says_what_is_lost(visitor):
    text = words(visitor.get(url(running())))
    assert "What was trained so far is lost: Vertex AI does not resume a cancelled job" in text


def test_on_the_local_server_a_cancelled_job_can_be_resumed(visitor, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    words_of_loss = "From a checkpoint that was saved, you can resume with a new job."
    job = running()
    assert words_of_loss in words(visitor.get(url(job)))
    assert words_of_loss in words(visitor.get("/tuning/"))
    assert words_of_loss in words(visitor.get(f"/tuning/cancel/?job={job.pk}"))


ENDED_EARLY = {"phase": "CLOSED", "started_at": timezone.now(), "epochs": 3}


@pytest.mark.parametrize(
    ("state", "words_of_it", "forms"),
    [
        ("CANCELLED", "Resume makes a new job that starts from it and trains 2 more epochs.", 2),
        ("FAILED", "A new job goes on from checkpoint 1 of epoch 1 and trains 2 more epochs.", 1),
    ],
)
def test_a_job_that_ended_early_offers_to_go_on(visitor, settings, state, words_of_it, forms):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    checkpoints = [{"checkpoint_id": "1", "epoch": 1, "step": 5}]
    job = factories.job(state=state, checkpoints=checkpoints, **ENDED_EARLY)
    text = words(visitor.get(url(job)))
    assert words_of_it in text
    assert text.count(f'action="{url(job, "continue/")}"') == forms
    assert "Continue from checkpoint 1" in text
    assert f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-5" in text


@pytest.mark.parametrize(
    ("endpoint", "checkpoints", "reason"),
    [
        ("http://127.0.0.1:1", [], "No checkpoint was found in its output directory"),
        ("", [{"checkpoint_id": "1", "epoch": 1, "step": 5}], "The checkpoint holds an adapter only"),
    ],
)
def test_what_cannot_go_on_says_why(visitor, settings, endpoint, checkpoints, reason):
    settings.VERTEX_API_ENDPOINT = endpoint
    job = factories.job(state="CANCELLED", checkpoints=checkpoints, **ENDED_EARLY)
    text = words(visitor.get(url(job)))
    assert (reason in text, url(job, "continue/") in text, url(job, "retry/") in text) == (True, False, True)


def test_a_page_waits_for_the_last_look_at_a_job(visitor):
    job = running()
    assert "hx-get" in fragment(visitor, job)
    for phase, waits in (("BOUND", True), ("CLOSED", False)):
        job.state, job.phase = "CANCELLED", phase
        job.save()
        assert (f'hx-get="{url(job, "status/")}' in fragment(visitor, job)) is waits


def test_a_tuned_model_is_deployed_once_however_often_it_is_asked(visitor):
    job = factories.job(state="SUCCEEDED", display_name="Captain", accepts_licence=True)
    first, second = visitor.post(url(job, "deploy/")), visitor.post(url(job, "deploy/"))
    endpoint = Endpoint.objects.get()
    assert (first.url, second.url) == (f"/endpoints/{endpoint.pk}/", url(job))
    assert (endpoint.display_name, endpoint.model.job, endpoint.model.accepts_licence) == ("Captain", job, True)


def test_after_an_undeployment_the_model_can_be_deployed_again(visitor):
    job = factories.job(state="SUCCEEDED")
    factories.endpoint(job=job, state="UNDEPLOYED", artifact_uri="gs://b/final")
    assert visitor.post(url(job, "deploy/")).url != url(job)
    assert Endpoint.objects.count() == 2


def test_after_a_deletion_the_model_can_be_deployed_again(visitor):
    job = factories.job(state="SUCCEEDED")
    visitor.post(url(job, "deploy/"))
    Endpoint.objects.update(state="DELETED")
    visitor.post(url(job, "deploy/"))
    assert sorted(Endpoint.objects.values_list("state", flat=True)) == ["DELETED", "DEPLOYING"]


def test_why_a_button_is_off_is_said(visitor):
    text = words(visitor.get(url(running())))
    assert 'title="You can deploy the model after tuning succeeds."' in text
    assert 'title="To test the model, deploy it first."' in text
    assert 'title="The job has already ended. There is nothing to cancel."' in words(
        visitor.get(url(factories.job(state="FAILED")))
    )


def test_a_clone_has_the_settings_but_a_folder_of_its_own(visitor):
    job = factories.job(display_name="Captain", epochs=7, learning_rate=0.00002)
    response = visitor.post(url(job, "clone/"))
    draft = TuningDraft.objects.get()
    assert response.url == f"/tuning/drafts/{draft.pk}/name/"
    assert draft.data["name"]["display_name"] == "Captain"
    assert (draft.data["training"]["epochs"], draft.data["training"]["learning_rate"]) == ("7", "0.00002")
    folder = draft.data["output"]["output_uri"]
    assert folder.startswith("gs://garden-local/tuning/captain-")


def test_a_clone_has_a_summary(visitor):
    factories.publisher_model()
    job = factories.job(display_name="Captain", epochs=3, dataset=factories.dataset(name="Shanties"))
    place = visitor.post(url(job, "clone/")).url
    summary = re.search(r"<aside.*?</aside>", words(visitor.get(place)))[0]
    for shown in ("Captain", "Shanties", "gs://garden-local/tuning/captain-", "× 3"):
        assert shown in summary


def test_metrics_have_both_curves_of_a_chart_together(visitor):
    job = running(checkpoints=[{"checkpoint_id": "1", "epoch": 1, "step": 2}])
    points(job, ("/train_total_loss", 1, 3.0, 0), ("/train_total_loss", 2, 2.0, 10), ("/eval_total_loss", 2, 2.5, 12))
    groups = {group["key"]: group["series"] for group in visitor.get(url(job, "metrics.json")).json()["groups"]}
    assert [(each["key"], each["kind"], each["points"]) for each in groups["loss"]] == [
        ("train_total_loss", "train", [[1, 3.0, 0.0], [2, 2.0, 10.0]]),
        ("eval_total_loss", "eval", [[2, 2.5, 12.0]]),
    ]
    assert (groups["accuracy"], groups["predictions"], groups["rate"]) == ([], [], [])


def test_a_long_curve_is_thinned_and_keeps_its_end(visitor):
    job, now = running(), timezone.now()
    rows = [Metric(job=job, tag="/train_total_loss", step=step, value=1, wall_time=now) for step in range(1, 2502)]
    Metric.objects.bulk_create(rows)
    curve = visitor.get(url(job, "metrics.json")).json()["groups"][0]["series"][0]["points"]
    assert (len(curve), curve[0], curve[-1]) == (834, [2, 1.0, 0.0], [2501, 1.0, 0.0])


def test_all_points_can_be_taken_away(visitor):
    job = running()
    points(job, ("/train_total_loss", 1, 3.0, 0), ("/eval_total_loss", 1, 2.5, 1))
    response = visitor.get(url(job, "metrics.csv"))
    assert b"".join(response.streaming_content).decode().splitlines() == [
        "tag,step,value,wall_time",
        "/eval_total_loss,1,2.5,2026-11-24T12:00:01+00:00",
        "/train_total_loss,1,3.0,2026-11-24T12:00:00+00:00",
    ]


CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 140}, {"checkpoint_id": "2", "epoch": 2, "step": 280}]


def test_checkpoints_are_marked_on_the_chart_and_listed(visitor):
    job = running(checkpoints=CHECKPOINTS[:1])
    points(job, ("/train_total_loss", 140, 1.25, 0), ("/eval_total_loss", 139, 9.5, 0))
    assert visitor.get(url(job, "metrics.json")).json()["checkpoints"] == [{"x": 140, "label": "1"}]
    figures = '<td class="num">1</td><td class="num">140</td><td class="num">1.250</td><td class="num">–</td>'
    assert figures in tight(fragment(visitor, job))


def test_an_earlier_checkpoint_of_an_adapter_says_why_it_is_not_deployed(visitor):
    job = factories.job(state="SUCCEEDED", checkpoints=CHECKPOINTS)
    text = words(visitor.get(url(job)))
    assert text.count("An earlier checkpoint contains only the adapter") == 1
    assert (
        text.count('commandfor="deploy-checkpoint-2"'),
        text.count('commandfor="deploy-checkpoint-1"'),
        "checkpoints/checkpoint-140" in text,
    ) == (3, 0, True)


@pytest.mark.parametrize("state", ["RUNNING", "SUCCEEDED"])
def test_a_row_of_a_checkpoint_offers_all_that_may_be_done_with_it(visitor, state):
    servable = [one | {"is_servable": True} for one in CHECKPOINTS]
    job = factories.job(state=state, checkpoints=servable)
    menu = fragment(visitor, job).partition('id="checkpoint-menu-1"')[2].partition("</div>")[0]
    for label in ("Try in chat", "Deploy", "Set as default", "Continue from checkpoint 1", "Copy path"):
        assert f"</svg>{label}" in menu
    factories.ready_endpoint(job=job, artifact_uri=f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-140")
    menu = fragment(visitor, job).partition('id="checkpoint-menu-1"')[2].partition("</div>")[0]
    assert (f'href="/studio/chat/?endpoint={Endpoint.objects.get().pk}"' in menu, ">Deploy<" in menu) == (True, False)


def test_a_checkpoint_is_made_the_default_and_deployed(visitor):
    job = factories.job(state="SUCCEEDED", tuning_mode="FULL", checkpoints=CHECKPOINTS)
    assert visitor.post(url(job, "default-checkpoint/"), {"checkpoint": "1"}).url == url(job)
    visitor.post(url(job, "deploy/"))
    assert Endpoint.objects.get().model.artifact_uri.endswith("/checkpoints/checkpoint-140")


@pytest.mark.parametrize("state", ["RUNNING", "SUCCEEDED", "CANCELLED"])
def test_the_default_that_was_chosen_is_marked(visitor, state):
    """Also before the training has ended: what the automatic deployment will take."""
    job = factories.job(state=state, checkpoints=[one | {"is_servable": True} for one in CHECKPOINTS])
    visitor.post(url(job, "default-checkpoint/"), {"checkpoint": "1"})
    page = visitor.get(url(job)).content.decode()
    marked = LexborHTMLParser(page).css("#job-checkpoints tr:has(.badge) th")
    assert [one.text().split()[0] for one in marked] == ["1"]
    menus = [menu.text() for menu in LexborHTMLParser(page).css("#job-checkpoints .menu")]
    assert ["Set as default" in menu for menu in menus] == [number != 0 for number in range(len(CHECKPOINTS))]
    assert "The default is what this console deploys" in page


def test_a_checkpoint_is_deployed_beside_another_once(visitor):
    job = factories.job(state="SUCCEEDED", tuning_mode="FULL", checkpoints=CHECKPOINTS, display_name="Captain")
    for checkpoint in ("2", "1", "1", ""):
        visitor.post(url(job, "deploy/"), {"checkpoint": checkpoint} if checkpoint else {})
    made = Endpoint.objects.order_by("created_at")
    folders = [(one.display_name, one.model.artifact_uri.rpartition("/")[2]) for one in made]
    assert folders == [("Captain-checkpoint-2", "final"), ("Captain-checkpoint-1", "checkpoint-140")]


def offers(visitor, job):
    """Of its model: whether it is said to be ready, why it is not deployed, and where its chat leads, on each page."""
    page, model = visitor.get(url(job)), visitor.get(f"/models/{job.pk}/")
    bars = [words(one).partition('<div class="actions')[2].partition("</div>")[0] for one in (page, model)]
    listed = CHAT.findall(words(visitor.get("/tuning/")))
    stand = page.context["stand"]
    return "The model is deployed and ready." in words(page), stand.why_not_deploy, *map(CHAT.findall, bars), listed


def test_a_checkpoint_that_is_tried_is_not_the_model(visitor):
    """Neither is the model deployed by that, nor does its chat lead there; the checkpoint that is the default is."""
    job = factories.job(state="SUCCEEDED", checkpoints=[one | {"is_servable": True} for one in CHECKPOINTS])
    folder = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-140"
    early = factories.ready_endpoint(job=job, artifact_uri=folder)
    assert offers(visitor, job) == (False, "", [], [], [])
    visitor.post(url(job, "default-checkpoint/"), {"checkpoint": "1"})
    there = [str(early.pk)]
    assert offers(visitor, job) == (True, "The model is already deployed.", there, there, there)


def test_the_page_follows_a_checkpoint_that_is_being_deployed(visitor):
    job = factories.job(state="CANCELLED", phase="CLOSED", checkpoints=[CHECKPOINTS[0] | {"is_servable": True}])
    before = fragment(visitor, job)
    visitor.post(url(job, "deploy/"), {"checkpoint": "1"})
    assert ("hx-trigger" in before, "hx-trigger" in fragment(visitor, job)) == (False, True)


def test_a_checkpoint_that_does_not_exist_is_refused(visitor):
    job = factories.job(state="SUCCEEDED", tuning_mode="FULL", checkpoints=CHECKPOINTS)
    for path in ("deploy/", "default-checkpoint/"):
        assert visitor.post(url(job, path), {"checkpoint": "9"}, **HTMX).status_code == 409


def test_a_phase_has_its_time_or_says_that_it_is_unknown(visitor):
    job = running(created_at=factories.NOW, submit_started_at=None, started_at=None, first_step_at=factories.NOW)
    milestones = visitor.get(url(job)).context["stand"].milestones
    assert [one.at for one in milestones] == [factories.NOW, None, factories.NOW, None, None]
    assert "time unknown" in fragment(visitor, job)


@pytest.mark.parametrize(("to", "expected"), [("top", [2, 0, 1]), ("up", [0, 2, 1])])
def test_a_job_that_waits_is_moved(visitor, settings, to, expected):
    settings.VERTEX_TUNING_AT_ONCE = 1
    jobs = [factories.job(prepared_at=factories.NOW) for _ in range(3)]
    assert "Number 3 in the queue" in fragment(visitor, jobs[2])
    assert visitor.post(url(jobs[2], "move/"), {"to": to, "next": url(jobs[2])}).url == url(jobs[2])
    assert list(queue.find_places()) == [jobs[place].pk for place in expected]


@pytest.mark.parametrize(("number", "offered"), [(0, ["down"]), (1, ["up", "top", "down"]), (2, ["up", "top"])])
def test_only_moves_that_change_something_are_offered(visitor, settings, number, offered):
    settings.VERTEX_TUNING_AT_ONCE = 1
    job = [factories.job(prepared_at=factories.NOW) for _ in range(3)][number]
    row = visitor.get(url(job, "row/")).content.decode()
    found = [re.findall(r'name="to" value="(\w+)"', text) for text in (fragment(visitor, job), row)]
    assert found == [offered] * 2


def test_a_pause_of_the_queue_is_shown_wherever_jobs_wait(visitor):
    job = factories.job(prepared_at=factories.NOW)
    visitor.post("/tuning/queue/pause/")
    said = "owner paused the queue"
    pages = [visitor.get(path) for path in ("/tuning/", "/", url(job))]
    assert [said in words(page) for page in pages] == [True] * 3
    assert "Queue paused (place 1)" in words(pages[0])
    assert visitor.post("/tuning/queue/resume/", {"next": url(job)}).url == url(job)
    assert [said in words(visitor.get(path)) for path in ("/tuning/", "/", url(job))] == [False] * 3


def test_only_an_administrator_pauses_the_queue_and_others_see_who_did(client, owner, stranger):
    queue.pause(owner)
    client.force_login(stranger)
    page = client.get("/tuning/")
    assert ("owner paused the queue" in words(page), client.post("/tuning/queue/resume/").status_code) == (True, 404)
    button = LexborHTMLParser(page.text).css_first("form[action='/tuning/queue/resume/'] button")
    assert "disabled" in button.attributes


def test_a_model_that_joins_others_is_told_on_the_page(visitor):
    endpoint = factories.ready_endpoint(display_name="Support")
    job = factories.job(
        state="SUCCEEDED", phase="CLOSED", auto_deploy=True, joins_endpoint=True, deploy_endpoint=endpoint
    )
    factories.deployed_model(endpoint=endpoint, job=job, automatic=True, state="DEPLOYING", artifact_uri="gs://a/b")
    assert re.search(r"On the endpoint <a [^>]+>Support</a>: Deploying.", fragment(visitor, job))


def test_a_model_that_could_not_join_says_why_and_what_to_do(visitor):
    endpoint = factories.ready_endpoint(display_name="Support")
    job = factories.job(
        state="SUCCEEDED", phase="CLOSED", auto_deploy=True, joins_endpoint=True, deploy_endpoint=endpoint,
        join_problem="The endpoint was deleted.", next_check_at=None,
    )  # fmt: skip
    text = fragment(visitor, job)
    assert "The model was not deployed on Support. The endpoint was deleted. Deploy it on a new endpoint here" in text
    assert 'commandfor="deploy-dialog"' in text


def test_a_place_is_not_changed_to_nonsense(visitor):
    assert visitor.post(url(factories.job(), "move/"), {"to": "sideways"}).status_code == 400


def test_a_job_that_was_sent_is_not_moved(visitor):
    response = visitor.post(url(running(phase="BOUND"), "move/"), {"to": "top"}, **HTMX)
    assert (response.status_code, "is no longer in the queue" in words(response)) == (409, True)


@pytest.mark.parametrize("tab", ["", "dataset/", "logs/", "details/"])
def test_each_tab_is_a_page_of_its_own(visitor, tab):
    job = running()
    tabs = words(visitor.get(url(job, tab))).partition('<nav class="tabs"')[2].partition("</nav>")[0]
    current = re.findall(r'<a href="([^"]+)" data-key="\d" aria-current="page">', tabs)
    assert (current, tabs.count("<a ")) == ([url(job, tab)], 4)


@pytest.mark.parametrize(
    ("tab", "parts"),
    [
        ("monitor", ["job-status", "job-bar", "job-checkpoints"]),
        ("logs", ["job-status", "job-bar"]),
        ("details", ["job-status", "job-bar", "job-details"]),
        ("nonsense", ["job-status", "job-bar", "job-checkpoints"]),
    ],
)
def test_an_update_has_the_parts_of_its_tab(visitor, tab, parts):
    text = words(visitor.get(url(running(), f"status/?tab={tab}"), **HTMX))
    known = ["job-status", "job-bar", "job-checkpoints", "job-details"]
    assert [part for part in known if f'id="{part}"' in text] == parts


def test_the_dataset_tab_shows_what_was_counted(visitor):
    stats = {"tuningDatasetExampleCount": "12", "userInputTokenDistribution": {"min": 4, "mean": 9.5, "max": 20}}
    text = words(visitor.get(url(running(data_stats=stats), "dataset/")))
    assert '<dt>Examples</dt><dd class="num">12</dd>' in text
    assert '<td class="num">4</td><td class="num">9.5</td><td class="num">–</td><td class="num">–</td>' in text


def test_the_request_is_shown_as_it_is_sent(visitor):
    job = factories.job(display_name="Captain", learning_rate=0.0005, adapter_size=16)
    request = json.loads(visitor.get(url(job, "details/")).context["request_json"])
    assert (request["baseModel"], request["tunedModelDisplayName"]) == (factories.BASE_MODEL, "Captain")
    assert request["supervisedTuningSpec"]["hyperParameters"] == {
        "epochCount": "2",
        "learningRate": 0.0005,
        "adapterSize": "ADAPTER_SIZE_SIXTEEN",
    }


def test_unchanged_metrics_cost_nothing(visitor):
    job = running()
    etag = visitor.get(url(job, "metrics.json"))["ETag"]
    assert visitor.get(url(job, "metrics.json"), HTTP_IF_NONE_MATCH=etag).status_code == 304


def test_a_failed_job_shows_the_log_around_its_error(visitor):
    lines = [f"step {number}" for number in range(50)] + ["MemoryError: no memory", "the end"]
    response = visitor.get(url(factories.job(state="FAILED", log_text="\n".join(lines))))
    assert response.context["error_lines"].splitlines() == lines[44:]


def test_cause_and_remedy_are_told_apart(visitor):
    message = "Row 31 is too long. Correct the settings or the dataset, then start a new job."
    job = factories.job(state="FAILED", error_code="INVALID_ARGUMENT", error_message=message)
    standing = visitor.get(url(job)).context["stand"]
    assert (standing.cause, standing.remedy) == (message[:19], message[20:])


def test_details_name_what_the_job_was_made_of(visitor):
    job = running(resource_name="projects/p/locations/l/tuningJobs/1", batch_size=None)
    text = words(visitor.get(url(job, "details/")))
    for shown in ("projects/p/locations/l/tuningJobs/1", "gs://garden-local/output/my-model", "0.0002"):
        assert shown in text
    assert f"/datasets/{job.dataset_id}/" in text


def test_the_page_takes_a_fixed_number_of_queries(visitor, django_assert_num_queries):
    job = running(checkpoints=CHECKPOINTS)
    for _ in range(3):
        factories.endpoint(job=job, artifact_uri="gs://b/final")
        job.events.create(message="Something happened.")
    with django_assert_num_queries(7):
        visitor.get(url(job))


def reports_curves(job, *tags):
    for tag in tags:
        job.metrics.create(tag=tag, step=1, value=0.5, wall_time=factories.NOW)


def test_every_curve_has_a_chart_and_known_ones_a_title(visitor):
    job = running()
    reports_curves(job, "/train_total_loss", "/eval_perplexity", "eval_runtime", '"><script>alert(1)</script>')
    text = words(visitor.get(url(job)))
    for title in ("Loss", "Perplexity", "eval_runtime", "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"):
        assert f"<summary>{title}</summary>" in text
    assert "<script>alert" not in text
    groups = {group["title"]: group["series"] for group in visitor.get(url(job, "metrics.json")).json()["groups"]}
    assert [len(groups[title]) for title in ("Loss", "Perplexity", "eval_runtime", "Token accuracy")] == [1, 1, 1, 0]
    assert (groups["eval_runtime"][0]["kind"], groups["eval_runtime"][0]["points"]) == ("eval", [[1, 0.5, 0.0]])


def test_a_curve_that_comes_later_brings_its_chart(visitor):
    job = running()
    reports_curves(job, "/train_total_loss")
    text = words(visitor.get(url(job)))
    assert "status/?tab=monitor&amp;charts=4" in text
    partial = '<hx-partial hx-target="#job-charts"'
    assert partial not in words(visitor.get(url(job, "status/?tab=monitor&charts=4"), **HTMX))
    reports_curves(job, "vendor/x")
    update = words(visitor.get(url(job, "status/?tab=monitor&charts=4"), **HTMX))
    assert (partial in update, "<summary>vendor/x</summary>" in update, "charts=5" in update) == (True, True, True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"log_source": "logging"}, "From Cloud Logging."),
        ({"log_source": "bucket"}, "From the file that the training wrote into its output directory."),
        ({"log_problem": "Run: gcloud this"}, "Cloud Logging can't be read:</strong> Run: gcloud this"),
    ],
)
def test_a_log_says_where_it_is_from_and_what_is_missing(visitor, values, said):
    job = running(log_text="a line", **values)
    assert said in words(visitor.get(url(job, "logs/")))
    assert said in words(visitor.get(url(job, "log/"), **HTMX))
