"""By which field a job failed; and of those that ended without a model, a look at the checkpoints that they left.

Nobody has looked yet: the worker does it as its last step with a job, which these have behind them.
"""

from django.db import migrations, models
from django.utils import timezone


def look_once_more(apps, schema_editor):
    ended = apps.get_model("jobs", "TuningJob").objects.filter(
        phase="CLOSED", state__in=("CANCELLED", "FAILED", "EXPIRED"), started_at__isnull=False, checkpoints=[]
    )
    ended.exclude(resource_name="").update(phase="BOUND", next_check_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("jobs", "0039_labels")]

    operations = [
        migrations.AddField(
            model_name="tuningjob",
            name="error_field",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.RunPython(look_once_more, migrations.RunPython.noop),
    ]
