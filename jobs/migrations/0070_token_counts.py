from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0042_takeaways")]

    operations = [
        migrations.AddField("dataset", "token_counts", models.JSONField(default=dict)),
    ]
