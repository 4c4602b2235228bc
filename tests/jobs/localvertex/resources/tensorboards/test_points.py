import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.resources.tensorboards.test_boards import make_board, make_run, of_a_job


@pytest.fixture
def run(server):
    board = make_board(server)
    experiment = server.boards.create_tensorboard_experiment(parent=board.name, tensorboard_experiment_id="e")
    made = make_run(server, experiment, "r")
    for identifier, kind in (("loss", "SCALAR"), ("weights", "TENSOR"), ("images", "BLOB_SEQUENCE")):
        series = {"display_name": identifier, "value_type": kind}
        server.boards.create_tensorboard_time_series(
            {"parent": made.name, "tensorboard_time_series": series, "tensorboard_time_series_id": identifier}
        )
    return made.name


def scalars(*points):
    values = [{"step": step, "scalar": {"value": value}} for step, value in points]
    return {"tensorboard_time_series_id": "loss", "value_type": "SCALAR", "values": values}


def write(server, run, *data):
    server.boards.write_tensorboard_run_data(tensorboard_run=run, time_series_data=data)


def read(server, run, identifier="loss", **fields):
    request = {"tensorboard_time_series": f"{run}/timeSeries/{identifier}", **fields}
    found = server.boards.read_tensorboard_time_series_data(request).time_series_data
    return [(point.step, point.scalar.value) for point in found.values]


def test_a_step_that_is_written_again(server, run):
    write(server, run, scalars((2, 0.5), (1, 1.0)))
    write(server, run, scalars((2, 0.25), (3, 0.125)))
    assert read(server, run) == [(1, 1.0), (2, 0.25), (3, 0.125)]
    series = server.boards.get_tensorboard_time_series(name=f"{run}/timeSeries/loss")
    assert (series.metadata.max_step, series.metadata.max_wall_time.year >= 2026) == (3, True)


def test_which_points_are_read(server, run):
    write(server, run, scalars(*((step, step / 4) for step in range(1, 1502))))
    assert len(read(server, run)) == 1000
    assert len(read(server, run, max_data_points=-1)) == 1501
    assert read(server, run, max_data_points=2) == [(750, 187.5), (1501, 375.25)]
    assert read(server, run, filter="step>1499") == [(1500, 375.0), (1501, 375.25)]
    request = vertex.ExportTensorboardTimeSeriesDataRequest(
        tensorboard_time_series=f"{run}/timeSeries/loss", filter="step<4", order_by="step desc", page_size=2
    )
    assert [one.step for one in server.boards.export_tensorboard_time_series_data(request)] == [3, 2, 1]
    with pytest.raises(BadRequest, match="max_data_points"):
        read(server, run, max_data_points=-2)


def test_tensors(server, run):
    values = [{"step": 1, "tensor": {"value": b"abc", "version_number": 1}, "wall_time": {"seconds": 1_800_000_000}}]
    write(server, run, {"tensorboard_time_series_id": "weights", "value_type": "TENSOR", "values": values})
    name = f"{run}/timeSeries/weights"
    (point,) = server.boards.read_tensorboard_time_series_data(tensorboard_time_series=name).time_series_data.values
    assert (point.tensor.value, point.wall_time.year) == (b"abc", 2027)


def test_runs_that_are_written_together(server, run):
    experiment = run.partition("/runs/")[0]
    requests = [{"tensorboard_run": name, "time_series_data": [scalars((1, 1))]} for name in (run, f"{run}x")]
    with pytest.raises(NotFound):
        server.boards.write_tensorboard_experiment_data(
            tensorboard_experiment=experiment, write_run_data_requests=requests
        )
    assert read(server, run) == []
    server.boards.write_tensorboard_experiment_data(
        tensorboard_experiment=experiment, write_run_data_requests=requests[:1]
    )
    assert read(server, run) == [(1, 1.0)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"values": []}, "tensorboard_time_series_id field is required"),
        ({**scalars((1, 1)), "value_type": "TENSOR"}, "is of the type SCALAR, not TENSOR"),
        ({**scalars(), "values": [{"step": 1, "tensor": {"value": b"x"}}]}, "must have a value: scalar"),
        (scalars(*((step, 0) for step in range(5001))), "at most 5000 points"),
        (
            {
                "tensorboard_time_series_id": "images",
                "value_type": "BLOB_SEQUENCE",
                "values": [{"blobs": {"values": [{"data": b"x"}]}}],
            },
            "blobs have no place here",
        ),
    ],
)
def test_data_that_is_refused(server, run, data, said):
    with pytest.raises(BadRequest, match=said):
        write(server, run, data)


def test_the_points_of_a_job_are_its_own(server):
    (run,) = server.boards.list_tensorboard_runs(parent=of_a_job(server))
    with pytest.raises(BadRequest, match="belongs to a tuning job"):
        write(server, run.name, {**scalars((1, 1)), "tensorboard_time_series_id": "1"})
    size = server.boards.read_tensorboard_size(tensorboard=run.name.partition("/experiments/")[0])
    assert size.storage_size_byte > 100
