from django.urls import URLPattern, path

from console.views import (
    accounts,
    browsing,
    chat,
    chat_code,
    chat_export,
    chat_list,
    chat_settings,
    chat_share,
    chat_tree,
    dashboard,
    dataset_making,
    dataset_rows,
    datasets,
    endpoint_actions,
    endpoint_models,
    endpoints,
    health,
    model_detail,
    model_garden,
    pictures,
    preferences,
    search,
    settings_about,
    settings_own,
    settings_status,
    tuned_models,
    tuning_actions,
    tuning_compare,
    tuning_drafts,
    tuning_files,
    tuning_jobs,
    tuning_list,
    tuning_logs,
    tuning_many,
    tuning_new,
    weights,
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
    path("tuning/", tuning_list.index, name="tuning-list"),
    path("tuning/view/", tuning_list.save_view, name="tuning-view"),
    path("tuning/jobs.csv", tuning_many.export, name="tuning-export"),
    path("tuning/cancel/", tuning_many.cancel, name="tuning-cancel-many"),
    path("tuning/compare/", tuning_compare.index, name="tuning-compare"),
    path("tuning/compare/metrics.json", tuning_compare.metrics, name="tuning-compare-metrics"),
    path("tuning/new/", tuning_new.start_draft, name="tuning-new"),
    path("tuning/import/", tuning_files.load, name="tuning-import"),
    path("tuning/drafts/", tuning_drafts.index, name="tuning-drafts"),
    path("tuning/drafts/<uuid:pk>/job.json", tuning_files.of_draft, name="tuning-draft-file"),
    path("tuning/drafts/<uuid:pk>/output-check/", tuning_drafts.check_output, name="tuning-output-check"),
    path("tuning/drafts/<uuid:pk>/start/", tuning_new.start, name="tuning-start"),
    path("tuning/drafts/<uuid:pk>/discard/", tuning_new.discard, name="tuning-discard"),
    path("tuning/drafts/<uuid:pk>/<slug:step>/", tuning_new.step, name="tuning-draft"),
    path("tuning/jobs/<uuid:pk>/", tuning_jobs.detail, name="tuning-job"),
    path("tuning/jobs/<uuid:pk>/dataset/", tuning_jobs.dataset, name="tuning-job-dataset"),
    path("tuning/jobs/<uuid:pk>/logs/", tuning_logs.logs, name="tuning-job-logs"),
    path("tuning/jobs/<uuid:pk>/details/", tuning_jobs.details, name="tuning-job-details"),
    path("tuning/jobs/<uuid:pk>/metrics.json", tuning_jobs.metrics, name="tuning-metrics"),
    path("tuning/jobs/<uuid:pk>/metrics.csv", tuning_jobs.metrics_csv, name="tuning-metrics-csv"),
    path("tuning/jobs/<uuid:pk>/log/", tuning_logs.log, name="tuning-log"),
    path("tuning/jobs/<uuid:pk>/events/", tuning_logs.events, name="tuning-events"),
    path("tuning/jobs/<uuid:pk>/status/", tuning_jobs.status, name="tuning-status"),
    path("tuning/jobs/<uuid:pk>/row/", tuning_list.row, name="tuning-row"),
    path("tuning/jobs/<uuid:pk>/cancel/", tuning_actions.cancel, name="tuning-cancel"),
    path("tuning/jobs/<uuid:pk>/decide/", tuning_actions.decide, name="tuning-decide"),
    path("tuning/jobs/<uuid:pk>/deploy/", tuning_actions.deploy, name="tuning-deploy"),
    path("tuning/jobs/<uuid:pk>/default-checkpoint/", tuning_actions.set_default, name="tuning-default-checkpoint"),
    path("tuning/jobs/<uuid:pk>/move/", tuning_actions.move, name="tuning-move"),
    path("tuning/jobs/<uuid:pk>/clone/", tuning_actions.clone, name="tuning-clone"),
    path("tuning/jobs/<uuid:pk>/retry/", tuning_drafts.retry, name="tuning-retry"),
    path("tuning/jobs/<uuid:pk>/job.json", tuning_files.of_job, name="tuning-job-file"),
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
    path("endpoints/<uuid:pk>/traffic/", endpoint_models.traffic, name="endpoint-traffic"),
    path("endpoints/<uuid:pk>/models/add/", endpoint_models.add, name="endpoint-model-add"),
    path(
        "endpoints/<uuid:pk>/models/<slug:deployed>/undeploy/", endpoint_models.undeploy, name="endpoint-model-undeploy"
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
    path("datasets/<uuid:pk>/rows/", dataset_rows.index, name="dataset-rows"),
    path("datasets/<uuid:pk>/rows/<int:line>.json", dataset_rows.raw, name="dataset-row"),
    path("datasets/<uuid:pk>/versions/", datasets.versions, name="dataset-versions"),
    path("datasets/<uuid:pk>/file/", datasets.download, name="dataset-download"),
    path("datasets/<uuid:pk>/problems.jsonl", datasets.problems, name="dataset-problems"),
    path("datasets/<uuid:pk>/edit/", datasets.edit, name="dataset-edit"),
    path("datasets/<uuid:pk>/check/", datasets.check, name="dataset-check"),
    path("datasets/<uuid:pk>/convert/", dataset_making.convert, name="dataset-convert"),
    path("datasets/<uuid:pk>/split/", dataset_making.split, name="dataset-split"),
    path("datasets/<uuid:pk>/delete/", datasets.delete, name="dataset-delete"),
]

chat_urls = [
    path("studio/chat/", chat.index, name="chat"),
    path("studio/chat/<uuid:pk>/", chat.conversation, name="chat-conversation"),
    path("studio/chat/<uuid:pk>/send/", chat.send, name="chat-send"),
    path("studio/chat/<uuid:pk>/options/", chat_settings.options, name="chat-options"),
    path("studio/chat/<uuid:pk>/delete/", chat.delete, name="chat-delete"),
    path("studio/chat/turns/<uuid:pk>/", chat.turn, name="chat-turn"),
    path("studio/chat/turns/<uuid:pk>/stop/", chat.stop, name="chat-stop"),
    path("studio/chat/pictures/", pictures.add, name="chat-picture-add"),
    path("studio/chat/pictures/<uuid:pk>/", pictures.show, name="chat-picture"),
    path("studio/chat/pictures/<uuid:pk>/remove/", pictures.remove, name="chat-picture-remove"),
    # The list, and the chat as a whole.
    path("studio/chat/chats/", chat_list.index, name="chat-list"),
    path("studio/chat/<uuid:pk>/rename/", chat_tree.rename, name="chat-rename"),
    path("studio/chat/<uuid:pk>/pin/", chat_tree.pin, name="chat-pin"),
    path("studio/chat/<uuid:pk>/endpoint/", chat_tree.endpoint, name="chat-endpoint"),
    path("studio/chat/<uuid:pk>/export.<slug:form>", chat_export.export, name="chat-export"),
    # One turn.
    path("studio/chat/turns/<uuid:pk>/retry/", chat_tree.retry, name="chat-retry"),
    path("studio/chat/turns/<uuid:pk>/waiting/", chat.waiting, name="chat-waiting"),
    path("studio/chat/turns/<uuid:pk>/continue/", chat_tree.go_on, name="chat-continue"),
    path("studio/chat/turns/<uuid:pk>/edit/", chat_tree.edit, name="chat-edit"),
    path("studio/chat/turns/<uuid:pk>/show/", chat_tree.show, name="chat-show"),
    path("studio/chat/turns/<uuid:pk>/branch/", chat_tree.branch, name="chat-branch"),
    path("studio/chat/turns/<uuid:pk>/delete/", chat_tree.delete_turn, name="chat-turn-delete"),
    path("studio/chat/<uuid:pk>/code/", chat_code.code, name="chat-code"),
    # Presets of parameters.
    path("studio/chat/<uuid:pk>/presets/", chat_settings.save_preset, name="chat-preset-save"),
    path("studio/chat/<uuid:pk>/presets/use/", chat_settings.use_preset, name="chat-preset-use"),
    path("studio/chat/<uuid:pk>/presets/delete/", chat_settings.delete_preset, name="chat-preset-delete"),
    # Links for others.
    path("studio/chat/links/", chat_share.links, name="chat-links"),
    path("studio/chat/links/<uuid:pk>/revoke/", chat_share.revoke, name="chat-link-revoke"),
    path("studio/chat/<uuid:pk>/share/", chat_share.share, name="chat-share"),
    path("shared/<str:token>/", chat_share.shared, name="shared"),
    path("shared/<str:token>/pictures/<uuid:picture>", chat_share.shared_picture, name="shared-picture"),
]

settings_urls = [
    path("settings/", settings_status.index, name="settings"),
    path("settings/check/", settings_status.check, name="settings-check"),
    path("settings/connection/", settings_status.connection, name="settings-connection"),
    path("settings/defaults/", settings_own.defaults, name="settings-defaults"),
    path("settings/appearance/", settings_own.appearance, name="settings-appearance"),
    path("settings/keys/", settings_own.keys, name="settings-keys"),
    path("settings/password/", settings_own.password, name="settings-password"),
    path("settings/about/", settings_about.index, name="settings-about"),
    path("settings/about/<str:slug>/", settings_about.document, name="settings-document"),
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
    *settings_urls,
    path("accounts/sign-in/", accounts.sign_in, name="sign-in"),
    path("accounts/link/<str:token>/", accounts.sign_in_link, name="sign-in-link"),
    path("accounts/sign-out/", accounts.sign_out, name="sign-out"),
    path("search/", search.index, name="search"),
    path("preferences/", preferences.save, name="preferences"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = "console.views.errors.bad_request"
handler403 = "console.views.errors.forbidden"
handler404 = "console.views.errors.not_found"
handler500 = "console.views.errors.failed"
