"""A row for each deployed model, the first one of an endpoint included: the tables, beside the columns of before."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0033_one_output_one_job")]

    operations = [
        migrations.RenameModel("FurtherModel", "DeployedModel"),
        migrations.RemoveConstraint("endpoint", "one_automatic_endpoint_a_job"),
        migrations.RemoveConstraint("deployedmodel", "further_serves_exactly_one_model"),
        migrations.RenameIndex("deployedmodel", new_name="deployed_due", old_name="further_due"),
        migrations.AlterField(
            "deployedmodel",
            "endpoint",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="deployed_models", to="jobs.endpoint"
            ),
        ),
        migrations.AlterField(
            "deployedmodel",
            "job",
            models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="deployed_models",
                to="jobs.tuningjob",
            ),
        ),
        migrations.AddField("deployedmodel", "automatic", models.BooleanField(default=False)),
        migrations.AddField("deployedmodel", "replicas_asked_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("deployedmodel", "replicas_sent_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "endpoint",
            "main_model",
            models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+",
                to="jobs.deployedmodel",
            ),
        ),
        migrations.AddConstraint(
            "deployedmodel",
            models.UniqueConstraint(
                fields=["job"], name="one_automatic_model_a_job", condition=models.Q(automatic=True)
            ),
        ),
        migrations.AddConstraint(
            "deployedmodel",
            models.CheckConstraint(
                condition=models.Q(("publisher_model", "")) ^ models.Q(("artifact_uri", "")),
                name="deployed_from_one_source",
            ),
        ),
    ]  # fmt: skip
