"""What clients ask other APIs of Google on their way: quotas before a deployment, the lines of a log, the figures of an
endpoint.

They have no messages in Google's package for Vertex AI, and no gRPC here.
"""

import re
from collections.abc import Sequence

from google.cloud.aiplatform_v1beta1.types import Endpoint

from jobs.localvertex.api.wire import Json
from jobs.localvertex.observability import time_series
from jobs.localvertex.observability.answers import Series
from jobs.localvertex.observability.entries import Folders, list_entries
from jobs.localvertex.observability.queries import parse
from jobs.localvertex.observability.series import list_series
from jobs.localvertex.project.services import QUOTA, describe_quota
from jobs.localvertex.project.situation import Situation
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.serving.pool import name_of
from jobs.localvertex.serving.served import ANSWERING

_QUOTA = re.compile(QUOTA)
_SERIES = re.compile(r"/v3/projects/(?P<project>[^/:]+)/timeSeries")
_ENTRIES = re.compile(r"/v2/entries:list")


def is_asked(verb: str, path: str) -> bool:
    patterns = {"GET": (_QUOTA, _SERIES), "POST": (_ENTRIES,)}.get(verb, ())
    return any(pattern.fullmatch(path) for pattern in patterns)


def answer(parts: Parts, path: str, query: Sequence[tuple[str, str]], body: object) -> Json:
    if found := _QUOTA.fullmatch(path):
        return describe_quota(found, None, Situation())
    if found := _SERIES.fullmatch(path):
        return _list_series(parts, found["project"], query)
    folders = Folders(parts.runner.folder, parts.serving.folder)
    return list_entries(parts.store, folders, body)


def _list_series(parts: Parts, project: str, query: Sequence[tuple[str, str]]) -> Json:
    """A metric that nothing here has is none of its series, as of a project that never used it."""
    asked = parse(query)
    here = [
        (endpoint.name, deployed.id)
        for endpoint in parts.store.all(Endpoint, f"projects/{project}")
        for deployed in endpoint.deployed_models
    ]
    replicas = {Series(*one): int(parts.serving.state(name_of(*one))[0] == ANSWERING) for one in here}
    return time_series.answer(asked, list_series(parts.answers, project, asked.begin, asked.end, replicas))
