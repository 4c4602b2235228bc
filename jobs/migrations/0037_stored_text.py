"""Texts in rows had the English of their sentence as a key; they get its kind. What is not known stays, and can be read."""

from django.db import migrations, models
from django.db.models.functions import Cast

from jobs.text import kinds, old_form

COLUMNS = {
    "CatalogueSync": ("error_message",),
    "Dataset": ("problems", "notes"),
    "DeployedModel": ("error_message", "notice"),
    "Endpoint": ("error_message", "notice"),
    "EndpointEvent": ("message",),
    "JobEvent": ("message",),
    "Message": ("error_message",),
    "Notification": ("facts",),
    "ProbeResult": ("detail",),
    "StorageListing": ("error",),
    "TuningDraft": ("output_check",),
    "TuningJob": ("error_message", "notice"),
}
BATCH = 500


def rewrite_texts(apps, schema_editor):
    for name, columns in COLUMNS.items():
        for column in columns:
            rewrite(apps.get_model("jobs", name)._base_manager.using(schema_editor.connection.alias), column)


def rewrite(rows, column):
    """Batch by batch, so that a long table does not have to be held in memory."""
    found = rows.annotate(text=Cast(column, models.TextField())).filter(text__contains=old_form.KEY).order_by("pk")
    batch = list(found.values_list("pk", column)[:BATCH])
    while batch:
        for pk, old in batch:
            if (new := old_form.upgrade(old, kinds.load_registry())) != old:
                # Somebody may have written something else meanwhile.
                rows.filter(pk=pk, **{column: old}).update(**{column: new})
        batch = list(found.filter(pk__gt=batch[-1][0]).values_list("pk", column)[:BATCH])


class Migration(migrations.Migration):

    dependencies = [("jobs", "0036_endpoint_without_model")]

    operations = [migrations.RunPython(rewrite_texts, migrations.RunPython.noop, elidable=True)]
