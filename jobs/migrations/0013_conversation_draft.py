from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0012_storage_listing"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="draft",
            field=models.TextField(blank=True),
        ),
    ]
