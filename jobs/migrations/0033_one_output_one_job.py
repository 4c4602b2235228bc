from django.db import migrations, models
from django.db.models import Count, Q


def let_later_jobs_share(apps, schema_editor):
    """The first job of a folder owns it; those that were given the same one keep their address and own nothing."""
    jobs = apps.get_model("jobs", "TuningJob").objects.order_by()
    shared = jobs.values("output_uri").annotate(count=Count("pk")).filter(count__gt=1)
    for uri in list(shared.values_list("output_uri", flat=True)):
        here = jobs.filter(output_uri=uri)
        first = here.order_by("created_at", "pk").values_list("pk", flat=True)[0]
        here.exclude(pk=first).update(owns_output=False)


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0032_tuning_by_state"),
    ]

    operations = [
        migrations.AddField(
            model_name="tuningjob",
            name="owns_output",
            field=models.BooleanField(default=True, editable=False),
        ),
        migrations.RunPython(let_later_jobs_share, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="tuningjob",
            constraint=models.UniqueConstraint(condition=Q(("owns_output", True)), fields=("output_uri",), name="one_job_an_output"),
        ),
    ]
