from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0049_webhook_format")]

    operations = [
        migrations.AddField("message", "tools", models.JSONField(default=dict)),
    ]
