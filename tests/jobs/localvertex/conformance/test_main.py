import json

import pytest

from jobs.localvertex.conformance.__main__ import arguments, main, values_of


def test_one_document_on_request(server, capsys):
    code = main(["--endpoint", server.url, "--only", "no-such-endpoint", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (code, found["counts"]) == (0, {"passed": 1, "failed": 0, "skipped": 0})
    assert found["pairs"][0]["source"] == "https://github.com/googleapis/python-genai/issues/1706"


def test_what_fails_sets_the_exit_status(server, capsys):
    code = main(["--endpoint", server.url, "--only", "get-model-of-garden", "--model", "nobody/none@none"])
    assert (code, capsys.readouterr().out.splitlines()[0]) == (1, "failed  get-model-of-garden")


def test_the_list_needs_no_server(capsys):
    assert main(["--list", "--only", "wrong-filter"]) == 0
    assert capsys.readouterr().out == "wrong-filter\tlist_endpoints\tdocumented\thttps://google.aip.dev/160\n"


def test_who_does_not_answer_is_told(capsys):
    assert main(["--endpoint", "http://127.0.0.1:9"]) == 2
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err


def test_an_endpoint_is_needed():
    with pytest.raises(SystemExit):
        arguments([])


def test_names_of_a_model_are_made_from_its_id():
    found = values_of(arguments(["--endpoint", "http://x", "--model", "google/gemma3@gemma-3-1b-it"]))
    assert found["publisher_model"] == "publishers/google/models/gemma3@gemma-3-1b-it"
    assert "bucket" not in found
