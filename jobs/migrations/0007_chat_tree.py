import django.db.models.deletion
from django.db import migrations, models


def remember_endpoints(apps, schema_editor):
    """Until now every answer came from the endpoint of its conversation."""
    answers = apps.get_model("jobs", "Message").objects.filter(role="assistant")
    endpoints = apps.get_model("jobs", "Endpoint").objects
    for endpoint in endpoints.only("id", "display_name", "base_model").iterator():
        model = endpoint.base_model.rpartition("@")[2]
        label = f"{endpoint.display_name} ({model})" if model else endpoint.display_name
        answers.filter(conversation__endpoint_id=endpoint.pk).update(endpoint=endpoint.pk, answered_by=label)


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0006_datasets"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="endpoint",
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="jobs.endpoint"),
        ),
        migrations.AddField(
            model_name="message",
            name="answered_by",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.RunPython(remember_endpoints, migrations.RunPython.noop),
    ]
