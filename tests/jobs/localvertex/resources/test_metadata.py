"""What a patch of the metadata store may make."""

import httpx
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT

STORE = f"{PARENT}/metadataStores/default"
KINDS = [("context", vertex.Context), ("execution", vertex.Execution), ("artifact", vertex.Artifact)]


@pytest.mark.parametrize(("word", "kind"), KINDS)
def test_a_patch_makes_what_is_missing_when_it_may(server, word, kind):
    name = f"{STORE}/{word}s/made-by-patch"
    patch = getattr(server.metadata, f"update_{word}")
    wanted = {word: kind(name=name, description="d"), "update_mask": {"paths": ["description"]}}
    with pytest.raises(NotFound):
        patch(wanted)
    made = patch({**wanted, "allow_missing": True})
    again = patch({**wanted, "allow_missing": True})
    assert (made.name, made.description, again.create_time) == (name, "d", made.create_time)


def test_in_another_store_nothing_is_made(server):
    name = f"{PARENT}/metadataStores/other/contexts/made-by-patch"
    asked = {"context": vertex.Context(name=name, description="d"), "allow_missing": True}
    with pytest.raises(NotFound, match="metadataStores/other"):
        server.metadata.update_context(asked)


def test_a_flag_is_true_or_false(server):
    url = f"{server.url}/v1beta1/{STORE}/contexts/x?updateMask=description&allowMissing=perhaps"
    reply = httpx.request("PATCH", url, json={"description": "d"}, trust_env=False)
    assert (reply.status_code, "allow_missing" in reply.text) == (BadRequest.code, True)
