from django.urls import URLPattern, path

from console.views import (
    accounts,
    chat,
    chat_code,
    chat_settings,
    dashboard,
    datasets,
    endpoint_actions,
    endpoints,
    health,
    model_detail,
    model_garden,
    preferences,
    search,
    tuned_models,
    tuning_jobs,
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
    path("endpoints/<uuid:pk>/undeploy/", endpoint_actions.undeploy, name="endpoint-undeploy"),
    path("endpoints/<uuid:pk>/delete/", endpoint_actions.delete, name="endpoint-delete"),
    path("endpoints/<uuid:pk>/replicas/", endpoint_actions.replicas, name="endpoint-replicas"),
    path("endpoints/<uuid:pk>/lease/", endpoint_actions.lease, name="endpoint-lease"),
    path("endpoints/<uuid:pk>/extend/", endpoint_actions.extend, name="endpoint-extend"),
    path("endpoints/<uuid:pk>/again/", endpoint_actions.again, name="endpoint-again"),
]

tuned_model_urls = [
    path("models/", tuned_models.index, name="tuned-models"),
    path("models/<uuid:pk>/", tuned_models.detail, name="tuned-model"),
]

dataset_urls = [
    path("datasets/", datasets.index, name="dataset-list"),
    path("datasets/upload/", datasets.upload, name="dataset-upload"),
    path("datasets/sample/", datasets.sample, name="dataset-sample"),
    path("datasets/<uuid:pk>/", datasets.detail, name="dataset-detail"),
    path("datasets/<uuid:pk>/problems.jsonl", datasets.problems, name="dataset-problems"),
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
    path("studio/chat/turns/<uuid:pk>/retry/", chat.retry, name="chat-retry"),
    path("studio/chat/turns/<uuid:pk>/waiting/", chat.waiting, name="chat-waiting"),
    path("studio/chat/<uuid:pk>/code/", chat_code.code, name="chat-code"),
    # Presets of parameters.
    path("studio/chat/<uuid:pk>/presets/", chat_settings.save_preset, name="chat-preset-save"),
    path("studio/chat/<uuid:pk>/presets/use/", chat_settings.use_preset, name="chat-preset-use"),
    path("studio/chat/<uuid:pk>/presets/delete/", chat_settings.delete_preset, name="chat-preset-delete"),
]

urlpatterns: list[URLPattern] = [
    path("", dashboard.index, name="dashboard"),
    path("dashboard/<slug:section>/", dashboard.section, name="dashboard-section"),
    *model_garden_urls,
    *tuning_urls,
    *endpoint_urls,
    *tuned_model_urls,
    *dataset_urls,
    *chat_urls,
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
