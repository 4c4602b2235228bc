from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0036_endpoint_without_model"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="schema_text",
            field=models.TextField(blank=True, default=""),
        ),
    ]
