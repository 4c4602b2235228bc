"""The first entries of the ledger: what the rows of today have cost so far, by the list prices of July 2026.

As the pages counted it until now: the hours since a model was ready, for the replicas that it has at least. How many
ran in between is not known any more. Those prices are of us-central1 and on demand; elsewhere, and of Spot VMs, what
was spent is not known. The local Vertex AI costs nothing and gets no entries.
"""

from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db import migrations
from django.utils import timezone

AS_OF = date(2026, 7, 8)
SOURCE = "Google Cloud, the price table of the agent-platform-deploy skill"
REGION = "us-central1"
USD_PER_HOUR = {
    "g2-standard-4": "0.8129", "g2-standard-8": "0.9818", "g2-standard-12": "1.1507", "g2-standard-16": "1.3196",
    "g2-standard-24": "2.3014", "g2-standard-32": "1.9951", "g2-standard-48": "4.6028", "g2-standard-96": "9.2055",
    "g4-standard-48": "5.1751", "g4-standard-96": "10.35", "g4-standard-192": "20.70", "g4-standard-384": "41.40",
    "a2-highgpu-1g": "4.2245", "a2-highgpu-2g": "8.4490", "a2-highgpu-4g": "16.8980", "a2-highgpu-8g": "33.7960",
    "a2-megagpu-16g": "64.1021", "a2-ultragpu-1g": "5.7818", "a2-ultragpu-2g": "11.56", "a2-ultragpu-4g": "23.13",
    "a2-ultragpu-8g": "46.25", "a3-highgpu-1g": "12.6259", "a3-highgpu-2g": "25.25", "a3-highgpu-4g": "50.50",
    "a3-highgpu-8g": "101.01", "a3-ultragpu-8g": "96.02",
}
USD_PER_MILLION_TOKENS = {
    "google/gemma3@gemma-3-1b-it": "0.47", "google/gemma3@gemma-3-4b-it": "1.14",
    "google/gemma3@gemma-3-12b-it": "1.82", "google/gemma3@gemma-3-27b-it": "6.83",
    "google/gemma4@gemma-4-e2b-it": "1.40", "google/gemma4@gemma-4-e4b-it": "1.73",
    "google/gemma4@gemma-4-26b-a4b-it": "2.58", "google/gemma4@gemma-4-31b-it": "9.06",
    "google/medgemma@medgemma-1.5-4b-it": "1.14", "qwen/qwen3@qwen3-4b": "1.35", "qwen/qwen3@qwen3-8b": "4.18",
    "qwen/qwen3@qwen3-14b": "8.46", "qwen/qwen3@qwen3-32b": "6.57", "meta/llama3_1@llama-3.1-8b": "0.67",
    "meta/llama3_1@llama-3.1-8b-instruct": "0.67", "meta/llama3-2@llama-3.2-1b-instruct": "0.28",
    "meta/llama3-2@llama-3.2-3b-instruct": "0.61", "meta/llama3-3@llama-3.3-70b-instruct": "6.72",
}
BATCH = 500


def write_entries(apps, schema_editor):
    if settings.VERTEX_API_ENDPOINT:
        return
    entries = apps.get_model("jobs", "LedgerEntry")
    models = apps.get_model("jobs", "DeployedModel").objects.select_related("endpoint").filter(started_at__isnull=False)
    jobs = apps.get_model("jobs", "TuningJob").objects.filter(state="SUCCEEDED", phase="CLOSED")
    found = [entry_of_model(entries, model) for model in models.iterator(BATCH)]
    found += [entry_of_job(entries, job) for job in jobs.iterator(BATCH)]
    known = set(entries.objects.values_list("subject_id", flat=True))
    new = [entry for entry in found if entry and entry.subject_id not in known]
    entries.objects.bulk_create(new, batch_size=BATCH)


def entry_of_model(entries, model):
    replicas = model.min_replicas if model.available_replicas is None else model.available_replicas
    is_over = model.state not in ("READY", "UNDEPLOYING")
    count = model.min_replicas if is_over else replicas
    if not count or model.machine_type == "local-cpu":
        return None
    listed = USD_PER_HOUR.get(model.machine_type) if model.location == REGION and not model.spot else None
    price = None if listed is None else Decimal(listed)
    end = max(model.ended_at or model.updated_at or timezone.now(), model.started_at) if is_over else None
    return entries(
        kind="DEPLOYMENT", owner_id=model.owner_id, subject_id=model.pk, group_id=model.endpoint_id,
        job_id=model.job_id, name=model.endpoint.display_name, model_name=model.display_name,
        machine_type=model.machine_type, region=model.location, spot=model.spot, replicas=count,
        usd_per_hour=price, price_source=SOURCE if listed else "", price_as_of=AS_OF if listed else None,
        usd=cost(price, count, model.started_at, end), started_at=model.started_at, ended_at=end,
    )


def cost(price, replicas, start, end):
    if price is None or end is None:
        return None
    return round(price * replicas * Decimal(str((end - start).total_seconds())) / 3600, 6)


def entry_of_job(entries, job):
    counted = (job.data_stats or {}).get("totalBillableTokenCount")
    if not str(counted or "").isdigit() or not int(counted):
        return None
    tokens, listed = int(counted) * job.epochs, USD_PER_MILLION_TOKENS.get(job.base_model)
    end = job.ended_at or job.updated_at
    return entries(
        kind="TUNING", owner_id=job.owner_id, subject_id=job.pk, group_id=job.pk, job_id=job.pk, name=job.display_name,
        model_name=job.base_model[:128], region=job.location, tokens=tokens,
        usd=None if listed is None else round(Decimal(listed) * tokens / 1_000_000, 2),
        started_at=job.started_at or end, ended_at=end,
    )


class Migration(migrations.Migration):
    dependencies = [("jobs", "0057_ledger")]

    operations = [migrations.RunPython(write_entries, migrations.RunPython.noop)]
