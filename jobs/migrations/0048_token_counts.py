from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0047_sweeps")]

    operations = [
        migrations.AddField("dataset", "token_counts", models.JSONField(default=dict)),
    ]
