import re

from django.conf import settings
from django.db import migrations, models

LOCATION = re.compile(r"projects/[^/]+/locations/([^/]+)/")
BATCH = 500


def fill_locations(apps, schema_editor):
    """Each row has the region that its resource's name says, whichever was configured when its row was written; else
    the one that is configured now."""
    for name in ("TuningJob", "Endpoint", "DeployedModel"):
        model = apps.get_model("jobs", name)
        named = model.objects.exclude(resource_name="") | model.objects.filter(location="")
        changed = []
        for row in named.only("pk", "location", "resource_name").iterator():
            found = LOCATION.match(row.resource_name)
            location = found[1] if found else row.location or settings.VERTEX_LOCATION
            if location != row.location:
                row.location = location[:64]
                changed.append(row)
        model.objects.bulk_update(changed, ["location"], batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0058_ledger_backfill"),
    ]

    operations = [
        migrations.AddField(
            model_name="deployedmodel",
            name="serving_options",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="tuningjob",
            name="endpoint_options",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.RunPython(fill_locations, migrations.RunPython.noop, elidable=True),
    ]
