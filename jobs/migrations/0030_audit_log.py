import uuid

import django.utils.timezone
from django.db import migrations, models

# REPLACE is no DELETE to a trigger of SQLite, so an id or a number that is there already is refused, too.
SQLITE = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON jobs_auditentry
    BEGIN SELECT RAISE(ABORT, 'The audit log is append-only.'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON jobs_auditentry
    BEGIN SELECT RAISE(ABORT, 'The audit log is append-only.'); END""",
    """CREATE TRIGGER audit_no_replace BEFORE INSERT ON jobs_auditentry
    WHEN NEW.number IN (SELECT number FROM jobs_auditentry) OR NEW.id IN (SELECT id FROM jobs_auditentry)
    BEGIN SELECT RAISE(ABORT, 'The audit log is append-only.'); END""",
)
SQLITE_BACK = (
    "DROP TRIGGER IF EXISTS audit_no_update",
    "DROP TRIGGER IF EXISTS audit_no_delete",
    "DROP TRIGGER IF EXISTS audit_no_replace",
)
POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'The audit log is append-only.'; END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON jobs_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_append_only()""",
    """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON jobs_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()""",
)
POSTGRESQL_BACK = (
    "DROP TRIGGER IF EXISTS audit_no_change ON jobs_auditentry",
    "DROP TRIGGER IF EXISTS audit_no_truncate ON jobs_auditentry",
    "DROP FUNCTION IF EXISTS audit_append_only()",
)


def execute(schema_editor, by_vendor):
    for statement in by_vendor.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement)


def add_triggers(apps, schema_editor):
    execute(schema_editor, {"sqlite": SQLITE, "postgresql": POSTGRESQL})


def drop_triggers(apps, schema_editor):
    execute(schema_editor, {"sqlite": SQLITE_BACK, "postgresql": POSTGRESQL_BACK})


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0028_process_report'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveBigIntegerField(unique=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('user_id', models.BigIntegerField(null=True)),
                ('actor', models.CharField(blank=True, max_length=150)),
                ('action', models.CharField(max_length=60)),
                ('object_kind', models.CharField(blank=True, max_length=30)),
                ('object_id', models.CharField(blank=True, max_length=64)),
                ('object_name', models.CharField(blank=True, max_length=200)),
                ('outcome', models.CharField(choices=[('ok', 'Done'), ('refused', 'Refused'), ('failed', 'Failed')], max_length=8)),
                ('reason', models.CharField(blank=True, max_length=60)),
                ('address', models.CharField(blank=True, max_length=64)),
                ('request_id', models.CharField(blank=True, max_length=32)),
                ('facts', models.JSONField(default=dict)),
                ('hash', models.CharField(max_length=64)),
            ],
            options={
                'ordering': ('-created_at', '-id'),
                'indexes': [
                    models.Index(fields=['-created_at', '-id'], name='audit_by_time'),
                    models.Index(fields=['user_id', '-created_at', '-id'], name='audit_by_user'),
                    models.Index(fields=['object_id', '-created_at', '-id'], name='audit_by_object'),
                ],
            },
        ),
        migrations.RunPython(add_triggers, drop_triggers),
    ]
