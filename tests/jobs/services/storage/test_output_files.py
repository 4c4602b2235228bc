import pytest

from jobs.services.storage import output_files
from jobs.vertex.errors import Unavailable
from jobs.vertex.values import Listing, StoredObject

FOLDER = "gs://garden-local/out"


@pytest.mark.parametrize("folders", [(), ("again",)])
def test_a_list_that_never_ends_and_holds_no_file_is_given_up(fake_gateway, folders):
    fake_gateway.storage.every_page = Listing(folders, next_token="more")
    with pytest.raises(Unavailable, match="doesn't end"):
        list(output_files.walk(FOLDER))
    assert fake_gateway.calls.count("storage.list_folder") == output_files.MOST_EMPTY_PAGES + 1


def test_one_that_repeats_its_files_ends_at_the_most(fake_gateway):
    fake_gateway.storage.every_page = Listing(objects=(StoredObject("a", 1),), next_token="more")
    assert len(list(output_files.walk(FOLDER, 20))) == 20
