"""The command around a run; what a run does is in tests/jobs/services/smoke."""

import io

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


@pytest.fixture
def smoke(fake_gateway, settings, owner, tmp_path):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_BUCKET = "", "gs://garden-local"

    def call(*options, **more):
        out = io.StringIO()
        try:
            call_command(
                "vertex-smoke", owner.username, "--report", str(tmp_path / "report.md"), *options, stdout=out, **more
            )
        except CommandError as error:
            out.write(str(error))
        return out.getvalue()

    return call


def test_a_run_that_stops_writes_its_report(smoke, fake_gateway, tmp_path):
    said = smoke("--yes", "--base-model", "google/gemma3@gemma-9")
    assert said.endswith(f"Report: {tmp_path / 'report.md'}\nA step failed. The report says which, and why.")
    assert "| google/gemma3@gemma-9 is not in the catalogue. |" in (tmp_path / "report.md").read_text()
    assert fake_gateway.ledger == []


def test_without_a_yes_nothing_is_done(smoke, fake_gateway):
    said = smoke("--cap-usd", "2", stdin=io.StringIO("n\n"))
    assert said == "Spend up to $2 on Vertex AI? [y/N] Nothing was done."
    assert fake_gateway.calls == []


@pytest.mark.parametrize("amount", ["-1", "101", "NaN", "much"])
def test_a_cap_is_an_amount(smoke, amount):
    said = smoke("--yes", f"--cap-usd={amount}")
    assert said.endswith(f"{amount} is not an amount from 0 to 100 US dollars, such as 2.50")


@pytest.mark.parametrize("bucket", ["", "my-bucket", "gs://My Bucket", "gs://my-bucket/a//b"])
def test_a_bucket_is_needed(smoke, settings, bucket):
    settings.VERTEX_BUCKET = bucket
    assert smoke("--yes").startswith("Set VERTEX_BUCKET, such as gs://my-bucket. ")


def test_an_account_is_needed(smoke, owner):
    owner.is_active = False
    owner.save()
    assert smoke().startswith(f"There is no account named {owner.username}.")


def test_cleaning_up_needs_no_yes(smoke):
    assert smoke("--clean-up") == "Nothing was left.\n"
