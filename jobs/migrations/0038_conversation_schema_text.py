from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0037_stored_text"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="schema_text",
            field=models.TextField(blank=True, default=""),
        ),
    ]
