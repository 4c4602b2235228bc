from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0048_token_counts")]

    operations = [
        migrations.AddField(
            "notificationchoice",
            "webhook_format",
            models.CharField(
                blank=True,
                choices=[
                    ("json", "Generic JSON"),
                    ("slack", "Slack"),
                    ("teams", "Microsoft Teams"),
                    ("discord", "Discord"),
                ],
                max_length=8,
            ),
        ),
    ]
