from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0015_tuning_by_base'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='tuningjob',
            name='jobs_tuning_owner_i_672c86_idx',
        ),
        migrations.RemoveIndex(
            model_name='tuningjob',
            name='tuning_by_status',
        ),
        migrations.RemoveIndex(
            model_name='tuningjob',
            name='tuning_by_name',
        ),
        migrations.RemoveIndex(
            model_name='tuningjob',
            name='tuning_ended',
        ),
        migrations.AddIndex(
            model_name='tuningjob',
            index=models.Index(fields=['owner', '-created_at', '-id', 'state', 'display_name', 'base_model', 'ended_at'], name='tuning_by_time'),
        ),
        migrations.AddIndex(
            model_name='tuningjob',
            index=models.Index(fields=['owner', 'status_group', '-created_at', '-id', 'state', 'display_name', 'base_model', 'ended_at'], name='tuning_by_status'),
        ),
        migrations.AddIndex(
            model_name='tuningjob',
            index=models.Index(fields=['owner', 'display_name', '-created_at', '-id', 'state'], name='tuning_by_name'),
        ),
        migrations.AddIndex(
            model_name='tuningjob',
            index=models.Index(condition=models.Q(('status_group__gte', 3)), fields=['owner', 'status_group', 'ended_at'], name='tuning_ended'),
        ),
    ]
