import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT

OTHER = PARENT.replace("us-central1", "europe-west4")


def make_board(server, parent=PARENT, **fields):
    board = {"display_name": "B", **fields}
    return server.boards.create_tensorboard(parent=parent, tensorboard=board).result(timeout=10)


@pytest.fixture
def experiment(server):
    board = make_board(server)
    return server.boards.create_tensorboard_experiment(
        parent=board.name, tensorboard_experiment={"source": "tests"}, tensorboard_experiment_id="e"
    )


def make_run(server, experiment, identifier, name=""):
    return server.boards.create_tensorboard_run(
        parent=experiment.name, tensorboard_run={"display_name": name or identifier}, tensorboard_run_id=identifier
    )


def of_a_job(server):
    """The experiment of a tuning job's tensorboard."""
    job = server.until(server.create(server.job()).name, "SUCCEEDED")
    context = server.metadata.get_context(name=job.experiment)
    return f"{context.metadata['backing_tensorboard_resource']}/experiments/{job.experiment.rpartition('/')[2]}"


def test_one_default_a_location(server):
    first, elsewhere = make_board(server, is_default=True), make_board(server, OTHER, is_default=True)
    second, third = make_board(server, is_default=True), make_board(server)
    request = vertex.ListTensorboardsRequest(parent=PARENT, filter="is_default=true")
    assert [one.name for one in server.boards.list_tensorboards(request)] == [second.name]
    assert not server.boards.get_tensorboard(name=first.name).is_default
    assert server.boards.get_tensorboard(name=elsewhere.name).is_default
    change = {"tensorboard": {"name": third.name, "is_default": True}, "update_mask": {"paths": ["is_default"]}}
    server.boards.update_tensorboard(change).result(timeout=10)
    assert [one.name for one in server.boards.list_tensorboards(request)] == [third.name]


def test_etags(server):
    board = make_board(server)
    change = {"name": board.name, "display_name": "C", "etag": board.etag}
    changed = server.boards.update_tensorboard({"tensorboard": change}).result(timeout=10)
    assert (changed.display_name, changed.etag != board.etag) == ("C", True)
    with pytest.raises(Conflict, match="was changed meanwhile"):
        server.boards.update_tensorboard({"tensorboard": change})


def test_runs_are_counted_and_go_with_their_board(server, experiment):
    board = experiment.name.partition("/experiments/")[0]
    run = make_run(server, experiment, "r")
    assert server.boards.get_tensorboard(name=board).run_count == 1
    server.boards.delete_tensorboard(name=board).result(timeout=10)
    for get, name in (
        (server.boards.get_tensorboard_experiment, experiment.name),
        (server.boards.get_tensorboard_run, run.name),
    ):
        with pytest.raises(NotFound):
            get(name=name)


def test_display_names_of_runs_are_unique(server, experiment):
    make_run(server, experiment, "r", "Same")
    with pytest.raises(Conflict, match="display name 'Same'"):
        make_run(server, experiment, "s", "Same")
    other = make_run(server, experiment, "t")
    with pytest.raises(Conflict):
        server.boards.update_tensorboard_run({"tensorboard_run": {"name": other.name, "display_name": "Same"}})
    assert server.boards.get_tensorboard_run(name=other.name).display_name == "t"


def test_a_batch_is_all_or_none(server, experiment):
    wanted = [
        {"parent": experiment.name, "tensorboard_run": {"display_name": name}, "tensorboard_run_id": name}
        for name in ("a", "b", "a")
    ]
    with pytest.raises(Conflict):
        server.boards.batch_create_tensorboard_runs(parent=experiment.name, requests=wanted)
    assert list(server.boards.list_tensorboard_runs(parent=experiment.name)) == []
    made = server.boards.batch_create_tensorboard_runs(parent=experiment.name, requests=wanted[:2])
    assert [one.display_name for one in made.tensorboard_runs] == ["a", "b"]
    elsewhere = [{**wanted[0], "parent": experiment.name.replace("/e", "/f")}]
    with pytest.raises(BadRequest, match="is not below"):
        server.boards.batch_create_tensorboard_runs(parent=experiment.name, requests=elsewhere)


@pytest.mark.parametrize(
    ("run", "identifier", "said"),
    [
        ({"display_name": "R"}, "", "tensorboard_run_id field is required"),
        ({"display_name": "R"}, "Not_this", r"at most 128 characters of \[a-z0-9-\]"),
        ({}, "r", "tensorboard_run.display_name field is required"),
        ({"display_name": "R", "labels": {"A": "b"}}, "r", "Label 'A': 'b' is invalid"),
    ],
)
def test_runs_that_are_refused(server, experiment, run, identifier, said):
    with pytest.raises(BadRequest, match=said):
        server.boards.create_tensorboard_run(parent=experiment.name, tensorboard_run=run, tensorboard_run_id=identifier)


def test_boards_of_jobs_are_read_only_and_take_runs(server):
    name = of_a_job(server)
    board = name.partition("/experiments/")[0]
    for refused in (
        lambda: server.boards.delete_tensorboard(name=board),
        lambda: server.boards.update_tensorboard({"tensorboard": {"name": board, "display_name": "C"}}),
        lambda: server.boards.delete_tensorboard_experiment(name=name),
    ):
        with pytest.raises(BadRequest, match="belongs to a tuning job"):
            refused()
    experiment = server.boards.get_tensorboard_experiment(name=name)
    (of_job,) = server.boards.list_tensorboard_runs(parent=name)
    with pytest.raises(Conflict):
        make_run(server, experiment, "again", of_job.display_name)
    own = make_run(server, experiment, "own")
    assert [one.name for one in server.boards.list_tensorboard_runs(parent=name)] == [own.name, of_job.name]
