import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0010_sleeping_endpoints"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="traffic",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="traffic_wanted",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="traffic_asked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="FurtherModel",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("display_name", models.CharField(max_length=128)),
                ("location", models.CharField(max_length=64)),
                ("request_hash", models.CharField(blank=True, max_length=64)),
                ("resource_name", models.CharField(blank=True, db_index=True, max_length=512)),
                ("phase", models.CharField(choices=[("INTENT", "Not sent yet"), ("SUBMITTING", "Being sent"), ("AMBIGUOUS", "Sent, outcome unknown"), ("RETRY_OK", "Known not to exist, may be sent again"), ("BOUND", "Exists"), ("NEEDS_DECISION", "Outcome unknown, waiting for a decision"), ("CLOSED", "Nothing left to do")], default="INTENT", max_length=20)),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("empty_looks", models.PositiveIntegerField(default=0)),
                ("submit_started_at", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("next_check_at", models.DateTimeField(blank=True, default=django.utils.timezone.now, null=True)),
                ("licence_sent_at", models.DateTimeField(blank=True, null=True)),
                ("strikes", models.PositiveIntegerField(default=0)),
                ("error_code", models.CharField(blank=True, max_length=40)),
                ("error_message", models.TextField(blank=True)),
                ("notice", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("publisher_model", models.CharField(blank=True, max_length=200)),
                ("artifact_uri", models.CharField(blank=True, max_length=1024)),
                ("base_model", models.CharField(blank=True, max_length=200)),
                ("accepts_licence", models.BooleanField(default=False)),
                ("spot", models.BooleanField(default=False)),
                ("machine_type", models.CharField(blank=True, max_length=64)),
                ("accelerator_type", models.CharField(blank=True, max_length=64)),
                ("accelerator_count", models.PositiveIntegerField(default=0)),
                ("min_replicas", models.PositiveSmallIntegerField(default=1)),
                ("max_replicas", models.PositiveSmallIntegerField(default=1)),
                ("available_replicas", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("model_user_id", models.CharField(max_length=63, unique=True)),
                ("operation_name", models.CharField(blank=True, max_length=512)),
                ("stage", models.CharField(blank=True, max_length=40)),
                ("stage_times", models.JSONField(blank=True, default=list)),
                ("model_resource_name", models.CharField(blank=True, max_length=512)),
                ("deployed_model_id", models.CharField(blank=True, max_length=64)),
                ("state", models.CharField(choices=[("DEPLOYING", "Deploying"), ("READY", "Ready"), ("UNDEPLOYING", "Undeploying"), ("UNDEPLOYED", "Undeployed"), ("FAILED", "Failed")], default="DEPLOYING", max_length=16)),
                ("share", models.PositiveSmallIntegerField(default=0)),
                ("split_after", models.JSONField(blank=True, default=dict)),
                ("endpoint", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="further", to="jobs.endpoint")),
                ("job", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="further", to="jobs.tuningjob")),
                ("owner", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ["created_at", "id"],
                "indexes": [models.Index(condition=models.Q(("next_check_at__isnull", False)), fields=["next_check_at"], name="further_due")],
                "constraints": [
                    models.UniqueConstraint(fields=("endpoint", "deployed_model_id"), name="one_model_a_deployed_id"),
                    models.CheckConstraint(condition=models.Q(("publisher_model", ""), ("artifact_uri", ""), _connector="XOR"), name="further_serves_exactly_one_model"),
                ],
            },
        ),
    ]
