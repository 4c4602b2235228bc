from django.urls import URLPattern, path

from console.views import browsing, dashboard, health, metrics, notifications, search, tuned_models
from console.views.accounts import accounts, reauthentication
from console.views.catalogue import model_detail, model_garden, weights
from console.views.chat import (
    bulk as chat_many,
    code,
    conversation_list,
    conversations,
    export,
    images,
    leave,
    settings,
    shared_links,
    tree,
)
from console.views.comparisons import base, columns, comparisons, votes
from console.views.datasets import datasets, derive, rows
from console.views.endpoints import actions as endpoint_actions, deployed_models, endpoints
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
    bulk as tuning_many,
    compare,
    drafts,
    job_files,
    job_list,
    jobs,
    logs,
    new,
    removal as tuning_removal,
    sweeps as tuning_sweeps,
    takeaway,
)

model_garden_urls = [
    path("model-garden/", model_garden.index, name="model-garden"),
    path("model-garden/refresh/", model_garden.refresh, name="model-garden-refresh"),
    path("model-garden/news/dismiss/", model_garden.dismiss, name="model-garden-dismiss"),
    path("model-garden/deploy-weights/", weights.deploy, name="model-deploy-weights"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/", model_detail.detail, name="model-detail"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/deploy/", model_detail.deploy, name="model-deploy"),
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
    path("tuning/drafts/<uuid:pk>/start/", new.start, name="tuning-start"),
    path("tuning/drafts/<uuid:pk>/discard/", new.discard, name="tuning-discard"),
    path("tuning/drafts/<uuid:pk>/<slug:step>/", new.step, name="tuning-draft"),
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
    path("endpoints/<uuid:pk>/again/", endpoint_actions.again, name="endpoint-again"),
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
    path("datasets/sample/", datasets.sample, name="dataset-sample"),
    path("datasets/<uuid:pk>/", datasets.detail, name="dataset-detail"),
    path("datasets/<uuid:pk>/rows/", rows.index, name="dataset-rows"),
    path("datasets/<uuid:pk>/rows/<int:line>.json", rows.raw, name="dataset-row"),
    path("datasets/<uuid:pk>/versions/", datasets.versions, name="dataset-versions"),
    path("datasets/<uuid:pk>/file/", datasets.download, name="dataset-download"),
    path("datasets/<uuid:pk>/problems.jsonl", datasets.problems, name="dataset-problems"),
    path("datasets/<uuid:pk>/edit/", datasets.edit, name="dataset-edit"),
    path("datasets/<uuid:pk>/check/", datasets.check, name="dataset-check"),
    path("datasets/<uuid:pk>/convert/", derive.convert, name="dataset-convert"),
    path("datasets/<uuid:pk>/split/", derive.split, name="dataset-split"),
    path("datasets/<uuid:pk>/delete/", datasets.delete, name="dataset-delete"),
]

chat_urls = [
    path("studio/chat/", conversations.index, name="chat"),
    path("studio/chat/<uuid:pk>/", conversations.conversation, name="chat-conversation"),
    path("studio/chat/<uuid:pk>/send/", conversations.send, name="chat-send"),
    path("studio/chat/<uuid:pk>/draft/", conversations.draft, name="chat-draft"),
    path("studio/chat/<uuid:pk>/options/", settings.options, name="chat-options"),
    path("studio/chat/<uuid:pk>/delete/", conversations.delete, name="chat-delete"),
    path("studio/chat/turns/<uuid:pk>/", conversations.turn, name="chat-turn"),
    path("studio/chat/turns/<uuid:pk>/stop/", conversations.stop, name="chat-stop"),
    path("studio/chat/pictures/", images.add, name="chat-picture-add"),
    path("studio/chat/pictures/<uuid:pk>/", images.show, name="chat-picture"),
    path("studio/chat/pictures/<uuid:pk>/alt/", images.describe, name="chat-picture-alt"),
    path("studio/chat/pictures/<uuid:pk>/remove/", images.remove, name="chat-picture-remove"),
    # The list, and the chat as a whole.
    path("studio/chat/chats/", conversation_list.index, name="chat-list"),
    path("studio/chat/chats/delete/", chat_many.delete, name="chat-delete-many"),
    path("studio/chat/chats/dataset/", chat_many.dataset, name="chat-dataset-many"),
    path("studio/chat/chats/training.jsonl", chat_many.export, name="chat-export-many"),
    path("studio/chat/<uuid:pk>/rename/", tree.rename, name="chat-rename"),
    path("studio/chat/<uuid:pk>/pin/", tree.pin, name="chat-pin"),
    path("studio/chat/<uuid:pk>/endpoint/", tree.endpoint, name="chat-endpoint"),
    path("studio/chat/<uuid:pk>/export.<slug:form>", export.export, name="chat-export"),
    # One turn.
    path("studio/chat/turns/<uuid:pk>/retry/", tree.retry, name="chat-retry"),
    path("studio/chat/turns/<uuid:pk>/drop-oldest/", tree.drop_oldest, name="chat-drop-oldest"),
    path("studio/chat/<uuid:pk>/send-all/", tree.send_all, name="chat-send-all"),
    path("studio/chat/turns/<uuid:pk>/waiting/", conversations.waiting, name="chat-waiting"),
    path("studio/chat/turns/<uuid:pk>/continue/", tree.go_on, name="chat-continue"),
    path("studio/chat/turns/<uuid:pk>/edit/", tree.edit, name="chat-edit"),
    path("studio/chat/turns/<uuid:pk>/show/", tree.show, name="chat-show"),
    path("studio/chat/turns/<uuid:pk>/rate/", tree.rate, name="chat-rate"),
    path("studio/chat/turns/<uuid:pk>/branch/", tree.branch, name="chat-branch"),
    path("studio/chat/turns/<uuid:pk>/row/", votes.chat_row, name="chat-row"),
    path("studio/chat/turns/<uuid:pk>/delete/", tree.delete_turn, name="chat-turn-delete"),
    path("studio/chat/<uuid:pk>/code/", code.code, name="chat-code"),
    # Presets of parameters.
    path("studio/chat/<uuid:pk>/presets/", settings.save_preset, name="chat-preset-save"),
    path("studio/chat/<uuid:pk>/presets/use/", settings.use_preset, name="chat-preset-use"),
    path("studio/chat/<uuid:pk>/presets/delete/", settings.delete_preset, name="chat-preset-delete"),
    # Links for others.
    path("studio/chat/links/", shared_links.links, name="chat-links"),
    path("studio/chat/links/<uuid:pk>/revoke/", shared_links.revoke, name="chat-link-revoke"),
    path("studio/chat/<uuid:pk>/share/", shared_links.share, name="chat-share"),
    path("shared/<str:token>/", shared_links.show_shared, name="shared"),
    path("shared/<str:token>/pictures/<uuid:picture>", shared_links.show_shared_image, name="shared-picture"),
]

compare_urls = [
    path("studio/compare/", comparisons.index, name="compare"),
    path("studio/compare/base/", base.compare, name="compare-base"),
    path("studio/compare/base/<uuid:pk>/", base.deploy, name="compare-base-deploy"),
    path("studio/compare/<uuid:pk>/", comparisons.detail, name="compare-detail"),
    path("studio/compare/<uuid:pk>/send/", comparisons.send, name="compare-send"),
    path("studio/compare/<uuid:pk>/waiting/", base.waiting, name="compare-waiting"),
    path("studio/compare/<uuid:pk>/draft/", comparisons.draft, name="compare-draft"),
    path("studio/compare/<uuid:pk>/stop/", comparisons.stop_all, name="compare-stop-all"),
    path("studio/compare/<uuid:pk>/blind/", comparisons.blind, name="compare-blind"),
    path("studio/compare/<uuid:pk>/again/", comparisons.again, name="compare-again"),
    path("studio/compare/<uuid:pk>/rename/", comparisons.rename, name="compare-rename"),
    path("studio/compare/<uuid:pk>/export.<slug:form>", export.comparison, name="compare-export"),
    path("studio/compare/<uuid:pk>/delete/", comparisons.delete, name="compare-delete"),
    path("studio/compare/<uuid:pk>/vote/", votes.vote, name="compare-vote"),
    path("studio/compare/<uuid:pk>/reveal/", votes.reveal, name="compare-reveal"),
    path("studio/compare/<uuid:pk>/add/", columns.add, name="compare-add"),
    path("studio/compare/columns/<uuid:pk>/endpoint/", columns.endpoint, name="compare-column-endpoint"),
    path("studio/compare/columns/<uuid:pk>/options/", columns.options, name="compare-column-options"),
    path("studio/compare/columns/<uuid:pk>/send-all/", columns.send_all, name="compare-column-send-all"),
    path("studio/compare/columns/<uuid:pk>/remove/", columns.remove, name="compare-column-remove"),
    path("studio/compare/answers/<uuid:pk>/", columns.answer, name="compare-answer"),
    path("studio/compare/answers/<uuid:pk>/stop/", columns.stop, name="compare-answer-stop"),
    path("studio/compare/answers/<uuid:pk>/retry/", columns.retry, name="compare-answer-retry"),
    path("studio/compare/answers/<uuid:pk>/continue/", columns.go_on, name="compare-answer-continue"),
    path("studio/compare/answers/<uuid:pk>/drop-oldest/", columns.drop_oldest, name="compare-drop-oldest"),
    path("studio/compare/answers/<uuid:pk>/show/", columns.show, name="compare-answer-show"),
    path("studio/compare/answers/<uuid:pk>/branch/", columns.branch, name="compare-answer-branch"),
    path("studio/compare/answers/<uuid:pk>/row/", votes.row, name="compare-answer-row"),
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
    path("settings/about/<str:slug>/", about.document, name="settings-document"),
]

urlpatterns: list[URLPattern] = [
    path("", dashboard.index, name="dashboard"),
    path("dashboard/<slug:section>/", dashboard.section, name="dashboard-section"),
    *model_garden_urls,
    *tuning_urls,
    *endpoint_urls,
    *tuned_model_urls,
    *storage_urls,
    *dataset_urls,
    *chat_urls,
    *compare_urls,
    *notification_urls,
    *settings_urls,
    path("accounts/sign-in/", accounts.sign_in, name="sign-in"),
    path("accounts/link/<str:token>/", accounts.sign_in_link, name="sign-in-link"),
    path("accounts/confirm/<uuid:pending_id>/", reauthentication.confirm, name="confirm"),
    path("accounts/sign-out/", accounts.sign_out, name="sign-out"),
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
