import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

KINDS = [
    ("tuning.succeeded", "Tuning job succeeded"),
    ("tuning.failed", "Tuning job failed"),
    ("tuning.cancelled", "Tuning job cancelled"),
    ("tuning.undecided", "Tuning job waits for your decision"),
    ("endpoint.ready", "Endpoint ready"),
    ("endpoint.failed", "Endpoint failed"),
    ("endpoint.scaled", "Replicas changed"),
    ("endpoint.undeployed", "Endpoint undeployed"),
    ("endpoint.deleted", "Endpoint deleted"),
    ("model.ready", "Model added to an endpoint"),
    ("model.failed", "Model not added to an endpoint"),
    ("model.undeployed", "Model taken from an endpoint"),
    ("dataset.made", "Dataset converted or split"),
    ("test", "Test"),
]
SUBJECTS = [("tuning_job", "Tuning jobs"), ("endpoint", "Endpoints"), ("dataset", "Datasets"), ("test", "Tests")]
WAYS = [("email", "E-mail"), ("webhook", "Webhook")]
STATES = [("WAITING", "Waiting"), ("DELIVERED", "Delivered"), ("FAILED", "Given up")]
PROBLEMS = [
    ("answer", "The receiver answered with status %s."),
    ("redirect", "The receiver sent a redirect (%s). Redirects are not followed; give the final address."),
    ("gone", "The receiver said that it is gone for good (410)."),
    ("timeout", "No answer within %s seconds."),
    ("unreachable", "The receiver could not be reached."),
    ("name", "There is no such name: %s."),
    ("private", "%s is not an address of the public internet, so nothing was sent."),
    ("mail", "The mail server refused it (%s)."),
    ("off", "This way was switched off before it was sent."),
    ("interrupted", "The console was stopped while it was being sent."),
    ("error", "The console failed (%s); the worker's log has the details."),
]


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0013_conversation_draft"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="lease_ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=KINDS, max_length=24)),
                ("subject", models.CharField(choices=SUBJECTS, max_length=16)),
                ("subject_id", models.UUIDField()),
                ("end", models.CharField(max_length=64)),
                ("facts", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("read_at", models.DateTimeField(blank=True, null=True)),
                ("owner", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(fields=["owner", "-created_at", "-id"], name="notification_list"),
                    models.Index(
                        condition=models.Q(("read_at__isnull", True)),
                        fields=["owner", "-created_at", "-id"],
                        name="notification_unread",
                    ),
                    models.Index(fields=["created_at"], name="notification_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "subject", "subject_id", "end"), name="one_notification_an_end")
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("way", models.CharField(choices=WAYS, max_length=8)),
                ("state", models.CharField(choices=STATES, default="WAITING", max_length=10)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("next_try_at", models.DateTimeField(blank=True, default=django.utils.timezone.now, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("problem", models.CharField(blank=True, choices=PROBLEMS, max_length=12)),
                ("detail", models.CharField(blank=True, max_length=200)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("notification", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="jobs.notification")),
            ],
            options={
                "ordering": ["way"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_try_at__isnull", False)), fields=["next_try_at"], name="delivery_due"
                    )
                ],
                "constraints": [models.UniqueConstraint(fields=("notification", "way"), name="one_delivery_a_way")],
            },
        ),
        migrations.CreateModel(
            name="NotificationChoice",
            fields=[
                ("user", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="notification_choice", serialize=False, to=settings.AUTH_USER_MODEL)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("webhook_url", models.CharField(blank=True, max_length=500)),
                ("webhook_nonce", models.CharField(blank=True, max_length=64)),
                ("ways", models.JSONField(blank=True, default=dict)),
            ],
        ),
    ]
