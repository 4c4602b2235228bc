import math

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT


@pytest.fixture
def board(server):
    job = server.job("steps", rows=8)
    validation = server.upload(f"validation-{id(job)}.jsonl", '{"prompt": "a", "completion": "b"}\n')
    job.supervised_tuning_spec.validation_dataset_uri = validation
    done = server.until(server.create(job).name, "SUCCEEDED")
    return board_of(server, done)


def board_of(server, job):
    context = server.metadata.get_context(name=job.experiment)
    return f"{context.metadata['backing_tensorboard_resource']}/experiments/{job.experiment.rpartition('/')[2]}"


def series(server, board):
    (run,) = server.boards.list_tensorboard_runs(parent=board)
    return {one.display_name: one for one in server.boards.list_tensorboard_time_series(parent=run.name)}


def test_tags(server, board):
    assert sorted(series(server, board)) == [
        "/eval_fraction_of_correct_next_step_preds", "/eval_num_predictions", "/eval_total_loss",
        "/train_fraction_of_correct_next_step_preds", "/train_learning_rate", "/train_num_predictions",
        "/train_total_loss",
    ]  # fmt: skip


def test_points_of_one_series(server, board):
    name = series(server, board)["/eval_total_loss"].name
    data = server.boards.read_tensorboard_time_series_data(tensorboard_time_series=name).time_series_data
    assert [(point.step, point.scalar.value) for point in data.values] == [(4, 1.25), (8, 0.625)]
    assert data.values[0].wall_time.year >= 2026


def test_all_series_at_once(server, board):
    names = [one.name for one in series(server, board).values()]
    request = vertex.BatchReadTensorboardTimeSeriesDataRequest(
        tensorboard=board.partition("/experiments/")[0], time_series=names
    )
    read = server.boards.batch_read_tensorboard_time_series_data(request).time_series_data
    assert sorted(len(one.values) for one in read) == [2, 2, 2, 8, 8, 8, 8]


def test_fewer_points_keep_the_last(server, board):
    name = series(server, board)["/train_total_loss"].name
    request = vertex.ReadTensorboardTimeSeriesDataRequest(tensorboard_time_series=name, max_data_points=3)
    data = server.boards.read_tensorboard_time_series_data(request).time_series_data
    assert [point.step for point in data.values] == [2, 5, 8]


def test_export_in_pages(server, board):
    name = series(server, board)["/train_total_loss"].name
    request = vertex.ExportTensorboardTimeSeriesDataRequest(tensorboard_time_series=name, page_size=3)
    assert [point.step for point in server.boards.export_tensorboard_time_series_data(request)] == list(range(1, 9))


def test_unknown_names(server, board):
    with pytest.raises(NotFound):
        server.boards.read_tensorboard_time_series_data(tensorboard_time_series=f"{board}/runs/1/timeSeries/99")
    with pytest.raises(NotFound):
        list(server.boards.list_tensorboard_runs(parent=f"{PARENT}/tensorboards/1/experiments/2"))


def test_boards_and_experiments(server, board):
    name = board.partition("/experiments/")[0]
    tensorboard = server.boards.get_tensorboard(name=name)
    assert (tensorboard.name, tensorboard.display_name, tensorboard.run_count) == (name, "My tune", 1)
    assert name in [one.name for one in server.boards.list_tensorboards(parent=PARENT)]
    (experiment,) = server.boards.list_tensorboard_experiments(parent=name)
    assert experiment == server.boards.get_tensorboard_experiment(name=board)
    (run,) = server.boards.list_tensorboard_runs(parent=board)
    assert run == server.boards.get_tensorboard_run(name=run.name)
    one = series(server, board)["/train_total_loss"]
    assert one == server.boards.get_tensorboard_time_series(name=one.name)


def test_contexts_are_listed(server, board):
    identifier = board.rpartition("/")[2]
    request = vertex.ListContextsRequest(
        parent=f"{PARENT}/metadataStores/default", filter=f'display_name="{identifier}"'
    )
    (context,) = server.metadata.list_contexts(request)
    assert context.metadata["backing_tensorboard_resource"] == board.partition("/experiments/")[0]


@pytest.mark.parametrize(
    "suffix", ["", "/experiments/e", "/experiments/e/runs/1", "/experiments/e/runs/1/timeSeries/1"]
)
def test_boards_that_are_not_there(server, suffix):
    get = {
        0: server.boards.get_tensorboard,
        2: server.boards.get_tensorboard_experiment,
        4: server.boards.get_tensorboard_run,
        6: server.boards.get_tensorboard_time_series,
    }[suffix.count("/")]
    with pytest.raises(NotFound):
        get(name=f"{PARENT}/tensorboards/1{suffix}")


def test_a_loss_that_is_no_number_comes_as_it_is_and_the_checkpoint_before_it_can_be_used(server):
    """So the console can say at which step a training went astray, and go on from before it."""
    failed = server.until(server.create(server.job("diverges", rows=8)).name, "FAILED")
    name = series(server, board_of(server, failed))["/train_total_loss"].name
    data = server.boards.read_tensorboard_time_series_data(tensorboard_time_series=name).time_series_data
    assert [(point.step, math.isnan(point.scalar.value)) for point in data.values][3:] == [(4, False), (5, True)]
    assert "its loss is not a number at step 5" in failed.error.message
    assert [one.step for one in failed.tuned_model.checkpoints] == [4]
