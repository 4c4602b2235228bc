import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0011_traffic_split"),
    ]

    operations = [
        migrations.CreateModel(
            name="StorageListing",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("uri", models.CharField(blank=True, max_length=1024)),
                ("page_token", models.CharField(blank=True, max_length=1500)),
                ("asked_at", models.DateTimeField()),
                ("fetched_at", models.DateTimeField(blank=True, null=True)),
                ("folders", models.JSONField(default=list)),
                ("objects_found", models.JSONField(default=list)),
                ("next_token", models.CharField(blank=True, max_length=1500)),
                ("error", models.TextField(blank=True)),
                ("owner", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("owner", "uri", "page_token"), name="one_listing_a_page")],
            },
        ),
    ]
