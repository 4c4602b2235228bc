from typing import Any

from google.cloud.aiplatform_v1beta1 import types

from jobs.vertex.errors import NotFound
from jobs.vertex.moments import drop_impossible
from jobs.vertex.values import Point

from . import clients

BACKING = "backing_tensorboard_resource"


class Metrics:
    """Experiment → its metadata context → the TensorBoard behind it → runs → series → points: 3 calls and one a run."""

    def __init__(self) -> None:
        self._boards: dict[str, str] = {}

    def read(self, experiment: str) -> dict[str, list[Point]]:
        """Vertex AI gives at most 1000 points a series, chosen by chance when there are more."""
        try:
            board = self._board(experiment)
            tags = self._tags(board) if board else {}
            return self._points(board, tags) if tags else {}
        except NotFound:
            return {}

    def _board(self, experiment: str) -> str:
        """The TensorBoard experiment; kept, since it does not change once it is there."""
        if experiment and experiment not in self._boards:
            board = self._look_up(experiment)
            if not board:
                return ""
            self._boards[experiment] = board
        return self._boards.get(experiment, "")

    def _look_up(self, experiment: str) -> str:
        client = clients.client("metadata_service", clients.location_of(experiment))
        context = clients.ask(client.get_context, types.GetContextRequest(name=experiment))
        board = str((context.metadata or {}).get(BACKING, ""))
        if not board or "/experiments/" in board:
            return board
        return f"{board}/experiments/{experiment.rsplit('/', 1)[-1]}"

    def _tags(self, board: str) -> dict[str, str]:
        """Tag by the name of its series. A tag that several runs have is one series for us."""
        client = clients.client("tensorboard_service", clients.location_of(board))
        runs = clients.all_pages(client.list_tensorboard_runs, types.ListTensorboardRunsRequest(parent=board))
        return {
            series.name: series.display_name
            for run in runs
            for series in clients.all_pages(
                client.list_tensorboard_time_series, types.ListTensorboardTimeSeriesRequest(parent=run.name)
            )
            if series.value_type == types.TensorboardTimeSeries.ValueType.SCALAR
        }

    def _points(self, board: str, tags: dict[str, str]) -> dict[str, list[Point]]:
        client = clients.client("tensorboard_service", clients.location_of(board))
        request = types.BatchReadTensorboardTimeSeriesDataRequest(
            tensorboard=board.partition("/experiments/")[0], time_series=sorted(tags)
        )
        reply = clients.ask(client.batch_read_tensorboard_time_series_data, request)
        by_id = {name.rsplit("/", 1)[-1]: tag for name, tag in tags.items()}
        steps: dict[str, dict[int, Point]] = {}
        for data in reply.time_series_data:
            tag = by_id.get(data.tensorboard_time_series_id.rsplit("/", 1)[-1], "")
            steps.setdefault(tag, {}).update(
                {point.step: _point(point) for point in data.values if tag and drop_impossible(point.wall_time)}
            )
        return {tag: [found[step] for step in sorted(found)] for tag, found in steps.items() if found}


def _point(point: Any) -> Point:
    return Point(point.step, point.scalar.value, point.wall_time)
