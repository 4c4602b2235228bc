import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


def keep_own_defaults(apps, schema_editor):
    """Who had chosen a folder for the output of new jobs keeps it, unless it lies near things of somebody else."""
    people = apps.get_model("auth", "User").objects.filter(is_active=True, is_superuser=False)
    chosen = {}
    for pk, defaults in apps.get_model("jobs", "AccountPreference").objects.values_list("user_id", "defaults"):
        if prefix := str((defaults or {}).get("output_prefix", "")).rstrip("/"):
            chosen[pk] = prefix
    outputs = list(apps.get_model("jobs", "TuningJob").objects.values_list("owner_id", "output_uri"))
    taken = [*outputs, *chosen.items(), (None, f"{settings.VERTEX_BUCKET}/datasets")]
    for pk in people.values_list("pk", flat=True):
        prefix = chosen.get(pk)
        if prefix and not any(owner != pk and near(prefix, folder) for owner, folder in taken):
            apps.get_model("jobs", "SharedFolder").objects.create(uri=prefix, user_id=pk, may_write=True)


def near(one, other):
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0025_message_rating'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SharedFolder',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('uri', models.CharField(max_length=1024)),
                ('may_write', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['uri', 'user__username'],
                'constraints': [models.UniqueConstraint(fields=('uri', 'user'), name='folder_shared_once_with_a_person'), models.UniqueConstraint(condition=models.Q(('user', None)), fields=('uri',), name='folder_shared_once_with_everybody')],
            },
        ),
        migrations.AddIndex(
            model_name='tuningjob',
            index=models.Index(fields=['output_uri'], name='tuning_by_output'),
        ),
        migrations.RunPython(keep_own_defaults, migrations.RunPython.noop),
    ]
