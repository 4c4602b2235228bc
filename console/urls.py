from django.urls import URLPattern, path

from console.views import (
    accounts,
    chat,
    dashboard,
    dataset_making,
    dataset_rows,
    datasets,
    endpoints,
    health,
    model_garden,
    preferences,
    tuning_jobs,
    tuning_new,
)

model_garden_urls = [
    path("model-garden/", model_garden.index, name="model-garden"),
    path("model-garden/refresh/", model_garden.refresh, name="model-garden-refresh"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/", model_garden.detail, name="model-detail"),
    path("publishers/<str:publisher>/model-garden/<str:slug>/deploy/", model_garden.deploy, name="model-deploy"),
]

tuning_urls = [
    path("tuning/", tuning_jobs.index, name="tuning-list"),
    path("tuning/new/", tuning_new.start_draft, name="tuning-new"),
    path("tuning/drafts/<uuid:pk>/start/", tuning_new.start, name="tuning-start"),
    path("tuning/drafts/<uuid:pk>/discard/", tuning_new.discard, name="tuning-discard"),
    path("tuning/drafts/<uuid:pk>/<slug:step>/", tuning_new.step, name="tuning-draft"),
    path("tuning/jobs/<uuid:pk>/", tuning_jobs.detail, name="tuning-job"),
    path("tuning/jobs/<uuid:pk>/metrics.json", tuning_jobs.metrics, name="tuning-metrics"),
    path("tuning/jobs/<uuid:pk>/log/", tuning_jobs.log, name="tuning-log"),
    path("tuning/jobs/<uuid:pk>/status/", tuning_jobs.status, name="tuning-status"),
    path("tuning/jobs/<uuid:pk>/row/", tuning_jobs.row, name="tuning-row"),
    path("tuning/jobs/<uuid:pk>/cancel/", tuning_jobs.cancel, name="tuning-cancel"),
    path("tuning/jobs/<uuid:pk>/decide/", tuning_jobs.decide, name="tuning-decide"),
    path("tuning/jobs/<uuid:pk>/deploy/", tuning_jobs.deploy, name="tuning-deploy"),
    path("tuning/jobs/<uuid:pk>/clone/", tuning_jobs.clone, name="tuning-clone"),
]

endpoint_urls = [
    path("endpoints/", endpoints.index, name="endpoint-list"),
    path("endpoints/<uuid:pk>/", endpoints.detail, name="endpoint-detail"),
    path("endpoints/<uuid:pk>/status/", endpoints.status, name="endpoint-status"),
    path("endpoints/<uuid:pk>/row/", endpoints.row, name="endpoint-row"),
    path("endpoints/<uuid:pk>/undeploy/", endpoints.undeploy, name="endpoint-undeploy"),
    path("endpoints/<uuid:pk>/delete/", endpoints.delete, name="endpoint-delete"),
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
    path("studio/chat/<uuid:pk>/options/", chat.options, name="chat-options"),
    path("studio/chat/<uuid:pk>/delete/", chat.delete, name="chat-delete"),
    path("studio/chat/turns/<uuid:pk>/", chat.turn, name="chat-turn"),
    path("studio/chat/turns/<uuid:pk>/stop/", chat.stop, name="chat-stop"),
    path("studio/chat/turns/<uuid:pk>/retry/", chat.retry, name="chat-retry"),
]

urlpatterns: list[URLPattern] = [
    path("", dashboard.index, name="dashboard"),
    path("dashboard/<slug:section>/", dashboard.section, name="dashboard-section"),
    *model_garden_urls,
    *tuning_urls,
    *endpoint_urls,
    *dataset_urls,
    *chat_urls,
    path("accounts/sign-in/", accounts.sign_in, name="sign-in"),
    path("accounts/link/<str:token>/", accounts.sign_in_link, name="sign-in-link"),
    path("accounts/sign-out/", accounts.sign_out, name="sign-out"),
    path("preferences/", preferences.save, name="preferences"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = "console.views.errors.bad_request"
handler403 = "console.views.errors.forbidden"
handler404 = "console.views.errors.not_found"
handler500 = "console.views.errors.failed"
