from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0009_message_error_code"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="draft",
            field=models.TextField(blank=True),
        ),
    ]
