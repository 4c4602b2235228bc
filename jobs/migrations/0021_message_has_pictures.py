from django.db import migrations, models


def look(apps, schema_editor):
    pictures = apps.get_model("jobs", "Picture").objects.filter(message=models.OuterRef("pk"))
    apps.get_model("jobs", "Message").objects.filter(models.Exists(pictures)).update(has_pictures=True)


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0001_squashed_0020_endpoint_warnings"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="has_pictures",
            field=models.BooleanField(default=False),
        ),
        migrations.RunPython(look, migrations.RunPython.noop, elidable=True),
    ]
