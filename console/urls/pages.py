from django.urls import URLPattern, path

from console.views import (
    browsing,
    dashboard,
    health,
    inventory,
    metrics,
    notifications,
    preflight,
    search,
    tuned_models,
)
from console.views.catalogue import (
    imports as model_imports,
    model_detail,
    model_garden,
    removal as model_removal,
    weights,
)
from console.views.chat import leave
from console.views.datasets import (
    datasets,
    derive,
    edits as row_edits,
    imports,
    row_images,
    rows,
    works as dataset_works,
)
from console.views.endpoints import actions as endpoint_actions, deployed_models, endpoints, reports
from console.views.settings import (
    about,
    audit,
    notifications as settings_notifications,
    own,
    preferences,
    security,
    spending,
    status,
    storage,
)
from console.views.tuning import (
    actions as tuning_actions,
    autosave,
    bulk as tuning_many,
    compare,
    drafts,
    job_files,
    job_list,
    jobs,
    logs,
    new,
    removal as tuning_removal,
    start,
    sweeps as tuning_sweeps,
    takeaway,
)

from .accounts import account_urls
from .studio import chat_urls, compare_urls

model_garden_urls = [
    path("model-garden/", model_garden.index, name="model-garden"),
    path("model-garden/preflight/", preflight.of_deployment, name="model-preflight"),
    path("model-garden/refresh/", model_garden.refresh, name="model-garden-refresh"),
    path("model-garden/news/dismiss/", model_garden.dismiss, name="model-garden-dismiss"),
    path("model-garden/deploy-weights/", weights.deploy, name="model-deploy-weights"),
    path("model-garden/import/", model_imports.new, name="model-import"),
    path("model-garden/imports/<uuid:pk>/", model_imports.detail, name="model-import-detail"),
    path("model-garden/imports/<uuid:pk>/download/", model_imports.download, name="model-import-download"),
    path("model-garden/imports/<uuid:pk>/pause/", model_imports.pause, name="model-import-pause"),
    path("model-garden/imports/<uuid:pk>/resume/", model_imports.resume, name="model-import-resume"),
    path("model-garden/imports/<uuid:pk>/cancel/", model_imports.cancel, name="model-import-cancel"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/", model_detail.detail, name="model-detail"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/deploy/", model_detail.deploy, name="model-deploy"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/remove/", model_removal.remove, name="model-remove"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/try/", model_detail.try_out, name="model-try"),
]

tuning_urls = [
    path("tuning/", job_list.index, name="tuning-list"),
    path("tuning/view/", job_list.save_view, name="tuning-view"),
    path("tuning/jobs.csv", tuning_many.export, name="tuning-export"),
    path("tuning/cancel/", tuning_many.cancel, name="tuning-cancel-many"),
    path("tuning/remove/", tuning_removal.remove, name="tuning-remove"),
    path("tuning/queue/pause/", tuning_actions.pause_queue, name="tuning-queue-pause"),
    path("tuning/queue/resume/", tuning_actions.resume_queue, name="tuning-queue-resume"),
    path("tuning/compare/", compare.index, name="tuning-compare"),
    path("tuning/compare/metrics.json", compare.metrics, name="tuning-compare-metrics"),
    path("tuning/sweeps/<uuid:pk>/", tuning_sweeps.detail, name="tuning-sweep"),
    path("tuning/sweeps/<uuid:pk>/metrics.json", tuning_sweeps.metrics, name="tuning-sweep-metrics"),
    path("tuning/sweeps/<uuid:pk>/cancel/", tuning_sweeps.cancel, name="tuning-sweep-cancel"),
    path("tuning/new/", new.start_draft, name="tuning-new"),
    path("tuning/import/", job_files.load, name="tuning-import"),
    path("tuning/drafts/", drafts.index, name="tuning-drafts"),
    path("tuning/drafts/<uuid:pk>/job.json", job_files.of_draft, name="tuning-draft-file"),
    path("tuning/drafts/<uuid:pk>/job.yaml", job_files.of_draft, {"is_yaml": True}, name="tuning-draft-yaml"),
    path("tuning/drafts/<uuid:pk>/output-check/", drafts.check_output, name="tuning-output-check"),
    path("tuning/drafts/<uuid:pk>/preflight/", preflight.of_draft, name="tuning-preflight"),
    path("tuning/drafts/<uuid:pk>/start/", start.start, name="tuning-start"),
    path("tuning/drafts/<uuid:pk>/discard/", new.discard, name="tuning-discard"),
    path("tuning/drafts/<uuid:pk>/<slug:step>/", new.step, name="tuning-draft"),
    path("tuning/drafts/<uuid:pk>/<slug:step>/keep/", autosave.keep, name="tuning-draft-keep"),
    path("tuning/jobs/<uuid:pk>/", jobs.detail, name="tuning-job"),
    path("tuning/jobs/<uuid:pk>/dataset/", jobs.dataset, name="tuning-job-dataset"),
    path("tuning/jobs/<uuid:pk>/logs/", logs.logs, name="tuning-job-logs"),
    path("tuning/jobs/<uuid:pk>/details/", jobs.details, name="tuning-job-details"),
    path("tuning/jobs/<uuid:pk>/metrics.json", jobs.metrics, name="tuning-metrics"),
    path("tuning/jobs/<uuid:pk>/metrics.csv", jobs.metrics_csv, name="tuning-metrics-csv"),
    path("tuning/jobs/<uuid:pk>/log/", logs.log, name="tuning-log"),
    path("tuning/jobs/<uuid:pk>/events/", logs.events, name="tuning-events"),
    path("tuning/jobs/<uuid:pk>/status/", jobs.status, name="tuning-status"),
    path("tuning/jobs/<uuid:pk>/row/", job_list.row, name="tuning-row"),
    path("tuning/jobs/<uuid:pk>/cancel/", tuning_actions.cancel, name="tuning-cancel"),
    path("tuning/jobs/<uuid:pk>/decide/", tuning_actions.decide, name="tuning-decide"),
    path("tuning/jobs/<uuid:pk>/deploy/", tuning_actions.deploy, name="tuning-deploy"),
    path("tuning/jobs/<uuid:pk>/default-checkpoint/", tuning_actions.set_default, name="tuning-default-checkpoint"),
    path("tuning/jobs/<uuid:pk>/move/", tuning_actions.move, name="tuning-move"),
    path("tuning/jobs/<uuid:pk>/clone/", drafts.clone, name="tuning-clone"),
    path("tuning/jobs/<uuid:pk>/continue/", drafts.continue_job, name="tuning-continue"),
    path("tuning/jobs/<uuid:pk>/fix/", tuning_actions.fix, name="tuning-fix"),
    path("tuning/jobs/<uuid:pk>/retry/", drafts.retry, name="tuning-retry"),
    path("tuning/jobs/<uuid:pk>/download/", takeaway.take, name="tuning-take"),
    path("tuning/downloads/<uuid:pk>/archive.tar", takeaway.archive, name="takeaway-archive"),
    path("tuning/downloads/<uuid:pk>/sha256", takeaway.sums, name="takeaway-sums"),
    path("tuning/downloads/<uuid:pk>/<int:number>/", takeaway.file, name="takeaway-file"),
    path("tuning/jobs/<uuid:pk>/job.json", job_files.of_job, name="tuning-job-file"),
    path("tuning/jobs/<uuid:pk>/job.yaml", job_files.of_job, {"is_yaml": True}, name="tuning-job-yaml"),
]

endpoint_urls = [
    path("endpoints/", endpoints.index, name="endpoint-list"),
    path("endpoints/<uuid:pk>/", endpoints.detail, name="endpoint-detail"),
    path("endpoints/<uuid:pk>/status/", endpoints.status, name="endpoint-status"),
    path("endpoints/<uuid:pk>/metrics/", reports.metrics, name="endpoint-metrics"),
    path("endpoints/<uuid:pk>/log/", reports.log, name="endpoint-log"),
    path("endpoints/<uuid:pk>/row/", endpoints.row, name="endpoint-row"),
    path("endpoints/<uuid:pk>/undeploy/", endpoint_actions.undeploy, name="endpoint-undeploy"),
    path("endpoints/<uuid:pk>/delete/", endpoint_actions.delete, name="endpoint-delete"),
    path("endpoints/<uuid:pk>/replicas/", endpoint_actions.replicas, name="endpoint-replicas"),
    path("endpoints/<uuid:pk>/lease/", endpoint_actions.lease, name="endpoint-lease"),
    path("endpoints/<uuid:pk>/extend/", endpoint_actions.extend, name="endpoint-extend"),
    path("endpoints/<uuid:pk>/traffic/", deployed_models.traffic, name="endpoint-traffic"),
    path("endpoints/<uuid:pk>/models/add/", deployed_models.add, name="endpoint-model-add"),
    path(
        "endpoints/<uuid:pk>/models/<slug:deployed>/undeploy/", deployed_models.undeploy, name="endpoint-model-undeploy"
    ),
    path("endpoints/<uuid:pk>/detach/", endpoint_actions.detach, name="endpoint-detach"),
    path("endpoints/<uuid:pk>/fix/", endpoint_actions.fix, name="endpoint-fix"),
    path("endpoints/<uuid:pk>/again/", endpoint_actions.again, name="endpoint-again"),
]

found_urls = [
    path("elsewhere/", inventory.index, name="found-list"),
    path("elsewhere/look/", inventory.look, name="found-look"),
    path("elsewhere/<uuid:pk>/", inventory.detail, name="found-detail"),
    path("elsewhere/<uuid:pk>/attach/", inventory.attach, name="found-attach"),
]

tuned_model_urls = [
    path("models/", tuned_models.index, name="tuned-models"),
    path("models/<uuid:pk>/", tuned_models.detail, name="tuned-model"),
]

storage_urls = [
    path("storage/browse/", browsing.browse, name="storage-browse"),
    path("storage/choose/", browsing.choose, name="storage-choose"),
]

dataset_urls = [
    path("datasets/", datasets.index, name="dataset-list"),
    path("datasets/upload/", datasets.upload, name="dataset-upload"),
    path("datasets/imports/", imports.begin, name="dataset-import-begin"),
    path("datasets/imports/<uuid:pk>/", imports.show, name="dataset-import"),
    path("datasets/imports/<uuid:pk>/cancel/", imports.cancel, name="dataset-import-cancel"),
    path("datasets/imports/<uuid:pk>/again/", imports.again, name="dataset-import-again"),
    path("datasets/sample/", datasets.sample, name="dataset-sample"),
    path("datasets/images/<str:file>", row_images.show, name="dataset-image"),
    path("datasets/<uuid:pk>/", datasets.detail, name="dataset-detail"),
    path("datasets/<uuid:pk>/rows/", rows.index, name="dataset-rows"),
    path("datasets/<uuid:pk>/rows/<int:line>.json", rows.raw, name="dataset-row"),
    path("datasets/<uuid:pk>/rows/new/", row_edits.new, name="dataset-row-new"),
    path("datasets/<uuid:pk>/rows/added/<int:number>/", row_edits.added, name="dataset-row-added"),
    path("datasets/<uuid:pk>/rows/<int:line>/edit/", row_edits.edit, name="dataset-row-edit"),
    path("datasets/<uuid:pk>/rows/<int:line>/delete/", row_edits.delete, name="dataset-row-delete"),
    path("datasets/<uuid:pk>/edits/", row_edits.index, name="dataset-edits"),
    path("datasets/<uuid:pk>/edits/<int:number>/undo/", row_edits.undo, name="dataset-edit-undo"),
    path("datasets/<uuid:pk>/edits/discard/", row_edits.discard, name="dataset-edits-discard"),
    path("datasets/<uuid:pk>/edits/save/", dataset_works.save_edits, name="dataset-edits-save"),
    path("datasets/<uuid:pk>/bad-rows/", dataset_works.bad_rows, name="dataset-bad-rows"),
    path("datasets/<uuid:pk>/duplicates/", dataset_works.duplicates, name="dataset-duplicates"),
    path("datasets/<uuid:pk>/duplicates/remove/", dataset_works.remove_duplicates, name="dataset-duplicates-remove"),
    path("datasets/<uuid:pk>/changes/", dataset_works.changes, name="dataset-changes"),
    path("datasets/<uuid:pk>/progress/<slug:kind>/", dataset_works.progress, name="dataset-work"),
    path("datasets/<uuid:pk>/versions/", datasets.versions, name="dataset-versions"),
    path("datasets/<uuid:pk>/file/", datasets.download, name="dataset-download"),
    path("datasets/<uuid:pk>/problems.jsonl", datasets.problems, name="dataset-problems"),
    path("datasets/<uuid:pk>/edit/", datasets.edit, name="dataset-edit"),
    path("datasets/<uuid:pk>/check/", datasets.check, name="dataset-check"),
    path("datasets/<uuid:pk>/convert/", derive.convert, name="dataset-convert"),
    path("datasets/<uuid:pk>/split/", derive.split, name="dataset-split"),
    path("datasets/<uuid:pk>/delete/", datasets.delete, name="dataset-delete"),
]

notification_urls = [
    path("notifications/", notifications.index, name="notifications"),
    path("notifications/latest/", notifications.latest, name="notifications-latest"),
    path("notifications/read/", notifications.read_all, name="notifications-read"),
    path("notifications/<uuid:pk>/", notifications.follow, name="notification"),
    path("notifications/<uuid:pk>/read/", notifications.read, name="notification-read"),
    path("notifications/deliveries/<uuid:pk>/again/", notifications.try_again, name="notification-delivery-again"),
]

settings_urls = [
    path("settings/", status.index, name="settings"),
    path("settings/check/", status.check, name="settings-check"),
    path("settings/preflight/", preflight.of_project, name="settings-preflight"),
    path("settings/connection/", status.connection, name="settings-connection"),
    path("settings/defaults/", own.defaults, name="settings-defaults"),
    path("settings/appearance/", own.appearance, name="settings-appearance"),
    path("settings/keys/", own.keys, name="settings-keys"),
    path("settings/security/", security.index, name="settings-security"),
    path("settings/security/confirm/", security.confirm_for_password, name="settings-password-confirm"),
    path("settings/security/sessions/end/", security.end_others, name="session-end-others"),
    path("settings/security/sessions/<uuid:pk>/end/", security.end_session, name="session-end"),
    path("settings/password/", security.password, name="settings-password"),
    path("settings/notifications/", settings_notifications.index, name="settings-notifications"),
    path("settings/notifications/secret/", settings_notifications.renew_secret, name="settings-webhook-secret"),
    path("settings/notifications/confirm/<str:token>/", settings_notifications.confirm, name="settings-email-confirm"),
    path("settings/notifications/test/", settings_notifications.send_test, name="settings-notifications-test"),
    path("settings/storage/", storage.index, name="settings-storage"),
    path("settings/storage/<uuid:pk>/remove/", storage.remove, name="settings-storage-remove"),
    path("settings/spending/", spending.index, name="settings-spending"),
    path("settings/audit/", audit.index, name="settings-audit"),
    path("settings/audit/export.<slug:form>", audit.export, name="settings-audit-export"),
    path("settings/about/", about.index, name="settings-about"),
    path("settings/about/images/<path:name>", about.picture, name="settings-picture"),
    path("settings/about/<path:slug>/", about.document, name="settings-document"),
]

urlpatterns: list[URLPattern] = [
    path("", dashboard.index, name="dashboard"),
    path("dashboard/<slug:section>/", dashboard.section, name="dashboard-section"),
    *model_garden_urls,
    *tuning_urls,
    *endpoint_urls,
    *found_urls,
    *tuned_model_urls,
    *storage_urls,
    *dataset_urls,
    *chat_urls,
    *compare_urls,
    *notification_urls,
    *settings_urls,
    *account_urls,
    path("search/", search.index, name="search"),
    path("leave/", leave.ask, name="leave"),
    path("preferences/", preferences.save, name="preferences"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("readyz/<slug:kind>", health.readyz_of, name="readyz-of"),
    path("metrics", metrics.index, name="metrics"),
]

handler400 = "console.views.errors.bad_request"
handler403 = "console.views.errors.forbidden"
handler404 = "console.views.errors.not_found"
handler500 = "console.views.errors.server_error"
