import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT, TINY_NAME


@pytest.mark.parametrize(
    ("verb", "path", "body", "code", "message"),
    [
        (
            "POST",
            "cachedContents",
            {"model": TINY_NAME},
            501,
            "Operation is not implemented, or supported",
        ),
        ("POST", "cachedContents", {"shoes": 1}, 400, "Invalid JSON payload received."),
        ("GET", "cachedContents/7", None, 404, "Not found: cached content metadata for 7."),
        ("DELETE", "cachedContents/7", None, 404, "Not found: cached content metadata for 7."),
        ("PATCH", "cachedContents/7?updateMask=ttl", {"ttl": "5s"}, 404, "Not found: cached content metadata for 7."),
        ("PATCH", "cachedContents/7", {"ttl": "5s"}, 400, "The update_mask field is required."),
    ],
)
def test_no_model_has_a_cache(server, verb, path, body, code, message):
    refused = httpx.request(verb, f"{server.url}/v1/{PARENT}/{path}", json=body, trust_env=False)
    assert refused.status_code == code
    assert refused.json()["error"]["message"].startswith(message)


def test_the_list_is_empty(server):
    assert httpx.get(f"{server.url}/v1/{PARENT}/cachedContents", trust_env=False).json() == {}
