from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0009_message_error_code"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="is_asleep",
            field=models.BooleanField(default=False),
        ),
    ]
