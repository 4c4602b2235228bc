"""Vertex AI Experiments and TensorBoard by Google's SDK, as its documentation and notebooks use them."""

import json

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import aiplatform
from google.cloud.aiplatform.metadata import experiment_resources

from tests.jobs.localvertex.servers import PARENT

pytestmark = [
    pytest.mark.usefixtures("vertexai_sdk"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def begin(experiment):
    aiplatform.init(project="p1", location="us-central1", experiment=experiment)


def points(run, name):
    """As get_time_series_data_frame reads them, without pandas."""
    data = run._backing_tensorboard_run.resource.read_time_series_data()[name]
    return [(point.step, point.scalar.value) for point in data.values]


def test_experiment_from_init_to_delete():
    begin("first-experiment")
    for number in (1, 2):
        with aiplatform.start_run(f"run-{number}") as run:
            aiplatform.log_params({"learning_rate": 0.1 * number, "optimizer": "adam"})
            aiplatform.log_metrics({"accuracy": 0.5 + number / 10})
            aiplatform.log_time_series_metrics({"loss": 2.0}, step=1)
            aiplatform.log_time_series_metrics({"loss": 1.5 / number})
    assert (run.get_params(), run.get_metrics()) == ({"learning_rate": 0.2, "optimizer": "adam"}, {"accuracy": 0.7})
    assert points(run, "loss") == [(1, 2.0), (2, 0.75)]
    assert sorted(one.name for one in aiplatform.ExperimentRun.list(experiment="first-experiment")) == [
        "run-1",
        "run-2",
    ]
    experiment = aiplatform.Experiment("first-experiment")
    board = experiment.get_backing_tensorboard_resource()
    assert board.gca_resource.is_default
    experiment.delete(delete_backing_tensorboard_runs=True)
    assert aiplatform.Experiment.get("first-experiment") is None
    assert (
        aiplatform.TensorboardRun.list(
            tensorboard_experiment_name=f"{board.resource_name}/experiments/first-experiment"
        )
        == []
    )


def test_experiments_as_data_frames():
    pytest.importorskip("pandas")
    begin("framed-experiment")
    for number in (1, 2):
        with aiplatform.start_run(f"run-{number}"):
            aiplatform.log_params({"learning_rate": 0.1 * number, "optimizer": "adam"})
            aiplatform.log_metrics({"accuracy": 0.5 + number / 10})
            aiplatform.log_time_series_metrics({"loss": 1.5 / number})
    rows = json.loads(aiplatform.get_experiment_df("framed-experiment").to_json(orient="records"))
    one, two = sorted(rows, key=lambda row: row["run_name"])
    assert {key: one[key] for key in one if "." in key} == {
        "param.learning_rate": 0.1, "param.optimizer": "adam", "metric.accuracy": 0.6, "time_series_metric.loss": 1.5,
    }  # fmt: skip
    assert (two["run_name"], two["state"], two["metric.accuracy"]) == ("run-2", "COMPLETE", 0.7)


@pytest.mark.slow
def test_runs_are_taken_up_again_and_deleted():
    begin("second-experiment")
    aiplatform.start_run("resumed")
    aiplatform.log_params({"a": 1})
    aiplatform.end_run()
    with aiplatform.start_run("resumed", resume=True):
        aiplatform.log_metrics({"b": 2})
    run = aiplatform.ExperimentRun("resumed", experiment="second-experiment")
    assert (run.get_params(), run.get_metrics(), run.state.name) == ({"a": 1}, {"b": 2}, "COMPLETE")
    run.update_state(aiplatform.gapic.Execution.State.FAILED)
    assert [one.state.name for one in aiplatform.ExperimentRun.list(experiment="second-experiment")] == ["FAILED"]
    run.delete()
    assert aiplatform.ExperimentRun.list(experiment="second-experiment") == []


@pytest.mark.slow
def test_executions_and_artifacts_of_a_run():
    begin("third-experiment")
    data = aiplatform.Artifact.create(schema_title="system.Dataset", uri="gs://b/rows.jsonl", display_name="Rows")
    title = "system.ContainerExecution"
    with aiplatform.start_run("with-lineage") as run, aiplatform.start_execution(schema_title=title) as execution:
        execution.assign_input_artifacts([data])
        model = aiplatform.Artifact.create(schema_title="system.Model", uri="gs://b/final")
        execution.assign_output_artifacts([model])
    (kept,) = run.get_executions()
    assert [one.uri for one in kept.get_input_artifacts()] == ["gs://b/rows.jsonl"]
    assert [one.uri for one in kept.get_output_artifacts()] == ["gs://b/final"]
    given = [one.uri for one in run.get_artifacts() if one.schema_title != "google.VertexTensorboardRun"]
    assert sorted(given) == ["gs://b/final", "gs://b/rows.jsonl"]
    data.update(metadata={"rows": 3})
    assert aiplatform.Artifact.get_with_uri("gs://b/rows.jsonl").metadata == {"rows": 3}


@pytest.mark.slow
def test_classification_metrics_of_a_run():
    begin("fourth-experiment")
    with aiplatform.start_run("classified") as run:
        aiplatform.log_classification_metrics(labels=["cat", "dog"], matrix=[[9, 1], [2, 8]], display_name="pets")
    (found,) = run.get_classification_metrics()
    assert (found["display_name"], found["matrix"]) == ("pets", [[9, 1], [2, 8]])


def test_tensorboard_by_itself():
    board = aiplatform.Tensorboard.create(display_name="Own board", labels={"team": "a"}, description="d")
    assert board.resource_name.startswith(f"{PARENT}/tensorboards/")
    board.update(display_name="Renamed", labels={"team": "b"})
    kept = aiplatform.Tensorboard(board.resource_name)
    assert (kept.display_name, kept.labels, kept.gca_resource.description) == ("Renamed", {"team": "b"}, "d")
    experiment = aiplatform.TensorboardExperiment.create("tb-e", board.resource_name, display_name="E")
    run = aiplatform.TensorboardRun.create("tb-r", experiment.resource_name, display_name="R", labels={"x": "y"})
    series = aiplatform.TensorboardTimeSeries.create(
        display_name="loss", tensorboard_run_name=run.resource_name, value_type="SCALAR", plugin_name="scalars"
    )
    run.create_tensorboard_time_series(display_name="accuracy")
    for step in range(1, 6):
        run.write_tensorboard_scalar_data({"loss": 1 / step, "accuracy": step / 5}, step=step)
    read = run.read_time_series_data()
    assert {name: [value.scalar.value for value in data.values] for name, data in read.items()} == {
        "loss": [1 / step for step in range(1, 6)], "accuracy": [step / 5 for step in range(1, 6)],
    }  # fmt: skip
    assert [one.display_name for one in aiplatform.TensorboardExperiment.list(board.resource_name)] == ["E"]
    assert series.resource_name in [
        one.resource_name for one in aiplatform.TensorboardTimeSeries.list(run.resource_name)
    ]
    board.delete()
    with pytest.raises(NotFound):
        aiplatform.TensorboardRun(run.resource_name)


def test_backing_tensorboard_of_an_experiment():
    board = aiplatform.Tensorboard.create(display_name="For an experiment")
    aiplatform.init(project="p1", location="us-central1", experiment="fifth-experiment", experiment_tensorboard=board)
    with aiplatform.start_run("r"):
        aiplatform.log_time_series_metrics({"m": 1})
    (run,) = aiplatform.TensorboardRun.list(
        tensorboard_experiment_name=f"{board.resource_name}/experiments/fifth-experiment"
    )
    assert run.display_name == "r"
    assert experiment_resources.Experiment("fifth-experiment").get_backing_tensorboard_resource().name == board.name


@pytest.mark.slow
def test_experiment_of_a_tuning_job(server):
    """Read by the same calls; runs of one's own may stand beside the job's."""
    job = server.until(server.create(server.job("steps", rows=8)).name, "SUCCEEDED")
    experiment = aiplatform.Experiment(job.experiment.rpartition("/")[2])
    board = experiment.get_backing_tensorboard_resource()
    (of_job,) = aiplatform.TensorboardRun.list(
        tensorboard_experiment_name=f"{board.resource_name}/experiments/{experiment.name}"
    )
    assert len(of_job.read_time_series_data()["/train_total_loss"].values) == 8
