"""What an endpoint's row said of its first model, which has a row of its own by now."""

from django.db import migrations

OF_MODEL = (
    "accelerator_count", "accelerator_type", "accepts_licence", "artifact_uri", "attempt", "automatic",
    "available_replicas", "base_model", "deployed_model_id", "job", "licence_sent_at", "machine_type", "max_replicas",
    "min_replicas", "model_display_name", "model_resource_name", "model_user_id", "publisher_model",
    "replicas_asked_at", "replicas_sent_at", "spot", "stage", "stage_times", "submit_started_at",
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("jobs", "0035_first_models")]

    operations = [
        migrations.RemoveConstraint("endpoint", "endpoint_serves_exactly_one_model"),
        *(migrations.RemoveField("endpoint", name) for name in OF_MODEL),
    ]
