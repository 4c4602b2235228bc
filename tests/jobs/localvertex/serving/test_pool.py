import json
import os
import signal

import pytest

from tests.jobs.localvertex.servers import PARENT, wait_for


def llama(server, endpoint) -> int:
    (port_file,) = (server.data / f"endpoints/{endpoint}").glob("*/port.json")
    return json.loads(port_file.read_text())["pid"]


def gone(pid) -> bool:
    """A zombie is gone: only its parent, and not the test, can bury it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def answers(server, endpoint) -> bool:
    return server.chat(endpoint).status_code == 200


def test_started_again_after_a_crash(own_server):
    server = own_server.start()
    server.deployed("phoenix")
    before = llama(server, "phoenix")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: server.chat("phoenix").status_code == 503 or llama(server, "phoenix") != before, server.log)
    wait_for(lambda: answers(server, "phoenix"), server.log)
    endpoint = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/phoenix")
    assert endpoint.deployed_models[0].status.available_replica_count == 1


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_served_again_after_the_server_was_gone(own_server, number):
    server = own_server.start()
    server.deployed("lasting")
    child = llama(server, "lasting")
    assert server.stop(number) < 2.5
    wait_for(lambda: gone(child), server.log, 3)
    server.start()
    wait_for(lambda: answers(server, "lasting"), server.log)


def test_deployment_that_was_cut_off_goes_on(own_server):
    server = own_server.start()
    whole, server.options = server.options, (*server.options[:2], "--serving-command", "sleep")
    operation = server.deploy("cut")
    server.stop(signal.SIGKILL)
    server.options = whole
    server.start()
    assert wait_for(lambda: server.finished(operation), server.log).error.message == ""
    assert answers(server, "cut")
    assert [line["method"] for line in server.ledger()] == ["deploy"]


def test_undeployed_child_is_gone(server):
    (deployed,) = server.deployed("leaving").deployed_models
    child = llama(server, "leaving")
    server.endpoints.undeploy_model(endpoint=f"{PARENT}/endpoints/leaving", deployed_model_id=deployed.id)
    wait_for(lambda: gone(child), server.log, 3)
    reply = server.chat("leaving")
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")


def test_model_server_that_exits_fails_the_operation(own_server, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.gguf").write_bytes(b"broken")
    own_server.extra = ["--base-model", f"me/broken@one={folder}"]
    own_server.start()
    operation = own_server.deploy("broken", publisher_model_name="publishers/me/models/broken@one")
    done = wait_for(lambda: own_server.finished(operation), own_server.log)
    assert done.error.code == 9
    assert done.error.message == "Model server exited unexpectedly. E error: the model file is broken."
    assert own_server.endpoints.list_endpoints(parent=PARENT).endpoints == []
    assert own_server.models.list_models(parent=PARENT).models == []
