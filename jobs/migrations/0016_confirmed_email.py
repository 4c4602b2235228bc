from django.db import migrations, models


class Migration(migrations.Migration):
    """Addresses that are used already stay in use."""

    dependencies = [
        ('jobs', '0015_tuning_by_base'),
    ]

    operations = [
        migrations.AddField(
            model_name='notificationchoice',
            name='email_confirmed',
            field=models.BooleanField(default=True),
        ),
        migrations.AlterField(
            model_name='notificationchoice',
            name='email_confirmed',
            field=models.BooleanField(default=False),
        ),
    ]
