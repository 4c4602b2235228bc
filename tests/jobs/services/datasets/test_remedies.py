import json

import pytest

from jobs.errors import NotAllowedNow
from jobs.services.datasets import file, references
from jobs.services.datasets.remedies import add_again
from jobs.services.diagnosis.policies import why_not_leave_out
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
SOURCE = "gs://garden-local/rows.jsonl"
AGAIN = f"Read {SOURCE} again under “From Cloud Storage” on the Datasets page."


def test_a_file_comes_from_where_it_came():
    assert [add_again(one) for one in (factories.dataset(source_uri=SOURCE), factories.dataset())] == [
        AGAIN,
        "Upload the file again.",
    ]


def test_no_sentence_about_a_file_of_cloud_storage_speaks_of_an_upload(owner, team_mate):
    cloud = factories.dataset(owner=team_mate, source_uri=SOURCE, valid_rows=3)
    private = factories.job(owner=owner).output_uri
    path_of(cloud).write_text(json.dumps({"prompt": "a", "completion": "b", "image_url": f"{private}/x.png"}))
    named = references.why_not_sent(cloud)
    path_of(cloud).unlink()
    with pytest.raises(NotAllowedNow) as gone:
        file.open_file(cloud)
    every = why_not_leave_out(cloud, (1, 2, 3))
    assert [str(one).endswith(AGAIN) for one in (named, gone.value, every)] == [True] * 3
