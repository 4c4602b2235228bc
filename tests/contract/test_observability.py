"""Logs and figures of what runs elsewhere: what others ask is counted, too."""

from datetime import UTC, datetime, timedelta

from jobs.vertex.values import ChatRequest
from tests.jobs.localvertex.servers import wait_for

MINUTE = timedelta(minutes=1)


def endpoint_of(world, spec):
    return world.gateway.deployment.endpoint_name(spec.endpoint_user_id)


def ask(world, endpoint):
    address = world.gateway.deployment.get_endpoint(endpoint).dedicated_dns
    with world.gateway.chat.stream(ChatRequest(endpoint, address, [{"role": "user", "content": "Hi"}], {})) as chunks:
        return list(chunks)


def test_the_log_of_a_job_has_lines(world, tuned):
    job = tuned[1][-1]
    if world.name == "fake":
        world.gateway.logs.lines[job.name] = ["one", "two"]
    lines = world.gateway.logs.of_job(job.name, job.create_time - MINUTE, 1000)
    assert len(lines) >= 2
    assert lines == sorted(lines, key=lambda line: line.at)
    assert [line.text for line in world.gateway.logs.of_job(job.name, job.create_time - MINUTE, 1)] == [lines[-1].text]


def test_an_unknown_job_has_no_log(world):
    name = "projects/garden-local/locations/us-central1/tuningJobs/999999"
    assert world.gateway.logs.of_job(name, datetime.now(UTC) - MINUTE, 10) == []


def test_the_log_of_an_endpoint_is_that_of_its_model_servers(world, served):
    endpoint = endpoint_of(world, served)
    if world.name == "fake":
        world.gateway.logs.lines[endpoint] = ["The model server listens."]
    ask(world, endpoint)
    assert world.gateway.logs.of_endpoint(endpoint, datetime.now(UTC) - timedelta(days=1), 1000) != []


def test_every_request_is_counted_once(world, served):
    endpoint = endpoint_of(world, served)
    begin = datetime.now(UTC).replace(second=0, microsecond=0)

    def count():
        parts = world.gateway.monitoring.traffic(endpoint, begin, MINUTE, 4)
        assert [part.begin for part in parts] == [begin + MINUTE * number for number in range(4)]
        return sum(part.requests for part in parts), sum(part.errors for part in parts)

    before, errors = count()
    for _ in range(3):
        ask(world, endpoint)
    # An answer is counted when all of it has been sent.
    assert wait_for(lambda: count() == (before + 3, errors), seconds=20)
    answered = [part for part in world.gateway.monitoring.traffic(endpoint, begin, MINUTE, 4) if part.requests]
    assert all(part.latency_p50 is not None and part.latency_p50 <= part.latency_p95 for part in answered)


def test_an_endpoint_that_nobody_asked_has_no_requests(world):
    name = "projects/garden-local/locations/us-central1/endpoints/nobody"
    found = world.gateway.monitoring.traffic(name, datetime.now(UTC) - MINUTE * 3, MINUTE, 3)
    assert [(part.requests, part.errors, part.latency_p50) for part in found] == [(0, 0, None)] * 3
