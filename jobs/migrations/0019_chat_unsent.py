import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0018_lists_by_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="sent_from",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="jobs.message",
            ),
        ),
        migrations.AddField(
            model_name="picture",
            name="box",
            field=models.CharField(blank=True, max_length=36),
        ),
    ]
