"""The table of calls in docs/localvertex.md: `python -m jobs.localvertex.reference` writes it anew."""

from pathlib import Path

from jobs.localvertex.api import versions
from jobs.localvertex.app import MODULES
from jobs.localvertex.resources.call import Route

DOCUMENT = Path(__file__).parents[2] / "docs" / "localvertex.md"
BEGIN, END = "<!-- calls: generated -->\n", "<!-- /calls -->\n"
DONE_AT_ONCE = "The operation is done when it answers."

# method → (what it does here, what is known to differ from Google's)
DEPTH: dict[str, tuple[str, str]] = {
    "list_publisher_models": (
        "catalogue file, filter, order, pages",
        "Filters: `model_user_id`, `display_name`, `is_hf_wildcard()`, `can_deploy()`,"
        " `labels.VERIFIED_DEPLOYMENT_CONFIG`. No full text of model cards.",
    ),
    "get_publisher_model": ("deploy options, tuning, facts", "Facts are documentations of `viewRestApi`."),
    "export_publisher_model": (
        "the Hugging Face files of a model that can be tuned here, into the bucket",
        "No licence is asked for, as for a tuning.",
    ),
    "count_tokens": ("of rows of training data", "Google counts prompts for Gemini, and no rows."),
    "check_publisher_model_eula_acceptance": ("by project and model", ""),
    "accept_publisher_model_eula": ("by project and model", "No text of the licence is shown."),
    "create_tuning_job": (
        "trains for real: LoRA, full, from `customBaseModel`",
        "Accepted names, modes and sizes are the catalogue's. No QLoRA: the API has no field for it; use a custom job.",
    ),
    "rebase_tuned_model": ("refused: for Gemini", ""),
    "list_tuning_jobs": ("filter, pages", ""),
    "get_tuning_job": ("statistics, experiment, result", ""),
    "cancel_tuning_job": ("within one step; finished checkpoints go to the bucket", ""),
    "create_custom_job": (
        "`pytorch-peft-train` by its arguments: LoRA, and QLoRA in 4 and 8 bits",
        "No containers; machine types are stored and not used; one worker pool. Without `--precision_mode`: bfloat16.",
    ),
    "list_custom_jobs": ("filter, pages, mask", ""),
    "get_custom_job": ("state, error, times", "Metrics are TensorBoard's event file in the bucket; so is the log."),
    "cancel_custom_job": ("within one step; finished checkpoints go to the bucket", ""),
    "delete_custom_job": ("ended ones", DONE_AT_ONCE),
    "create_training_pipeline": (
        "custom containers, as a custom job",
        "Of containers, `pytorch-peft-train` only. No `modelToUpload`, no `inputDataConfig`.",
    ),
    "list_training_pipelines": ("filter, pages, mask", ""),
    "get_training_pipeline": ("state and error of its custom job", ""),
    "cancel_training_pipeline": ("its custom job", ""),
    "delete_training_pipeline": ("ended ones; the custom job stays", DONE_AT_ONCE),
    "deploy": (
        "serves for real: base models, adapters, whole models that the engine can convert",
        "One replica on this machine, whatever was asked for. No `huggingFaceModelId`. Container specs are only"
        " stored.",
    ),
    "get_operation": ("under `/v1`, `/v1beta1`, `/ui`", "`/ui` answers in the version that began it."),
    "list_operations": ("of a location or a resource, filter, pages", ""),
    "delete_operation": ("ended ones", ""),
    "cancel_operation": ("stops a deployment or an export", ""),
    "wait_operation": ("at most 30 s", ""),
    "create_endpoint": ("chosen or made id", f"{DONE_AT_ONCE} No private endpoints, no encryption keys."),
    "list_endpoints": ("filter, `base_model_name` too, order in v1, pages, mask", ""),
    "get_endpoint": ("replicas that answer now; asleep or starting", "The dedicated host: see below."),
    "update_endpoint": ("names, labels, traffic; etag", ""),
    "update_endpoint_long_running": ("`clientConnectionConfig`, stored", DONE_AT_ONCE),
    "delete_endpoint": ("empty ones", DONE_AT_ONCE),
    "deploy_model": (
        "several an endpoint, traffic split, chosen id, `checkpointId`",
        "Only `dedicatedResources`; one replica on this machine. Of LoRA, the last checkpoint only.",
    ),
    "undeploy_model": ("with traffic for the others", DONE_AT_ONCE),
    "mutate_deployed_model": ("replica counts and metrics, stored", f"{DONE_AT_ONCE} Nothing scales."),
    "upload_model": (
        "new models and versions",
        f"{DONE_AT_ONCE} Files stay where they are; containers of model servers are read, not run.",
    ),
    "copy_model": ("new models and versions, to any location", f"{DONE_AT_ONCE} Files stay where they are."),
    "list_models": ("filter, order in v1, pages, mask", ""),
    "get_model": ("`@version`, `@alias`", ""),
    "update_model": (
        "names, descriptions, labels; with a mask or by what is sent; etag",
        "Labels and names belong to each version.",
    ),
    "delete_model": ("with all versions", DONE_AT_ONCE),
    "list_model_versions": ("filter, order, pages", ""),
    "list_model_version_checkpoints": ("of tuned models", ""),
    "delete_model_version": ("any but the default", DONE_AT_ONCE),
    "merge_version_aliases": ("move and remove aliases", ""),
    "recommend_spec": ("of a folder of weights", "This machine and enough quota, always."),
    "get_metadata_store": ("`default` only", ""),
    "create_context": ("chosen or made id", "Schemas are not looked at."),
    "list_contexts": ("filter, order, pages", ""),
    "get_context": ("those made here, and a tuning job's experiment", ""),
    "update_context": ("names, labels, `metadata`; with a mask or by what is sent", "`allowMissing` makes nothing."),
    "delete_context": ("those without children, or by force", DONE_AT_ONCE),
    "create_execution": ("chosen or made id", "Schemas are not looked at."),
    "list_executions": ("filter, `in_context()`, order, pages", ""),
    "get_execution": ("those made here", ""),
    "update_execution": ("the same, and `state`", "`allowMissing` makes nothing."),
    "delete_execution": ("any", DONE_AT_ONCE),
    "create_artifact": ("chosen or made id", "Schemas are not looked at."),
    "list_artifacts": ("filter, `in_context()`, order, pages", ""),
    "get_artifact": ("those made here", ""),
    "update_artifact": ("the same, `state` and `uri`", "`allowMissing` makes nothing."),
    "delete_artifact": ("any", DONE_AT_ONCE),
    "add_context_artifacts_and_executions": ("links by name", ""),
    "add_context_children": ("links by name", "Circles are not looked for."),
    "query_context_lineage_subgraph": ("what was added to the context", "Not of its children."),
    "add_execution_events": ("inputs and outputs", ""),
    "query_execution_inputs_and_outputs": ("of one execution", ""),
    "list_tensorboards": ("one a tuning job", "None can be created."),
    "get_tensorboard": ("one a tuning job", ""),
    "list_tensorboard_experiments": ("one a tensorboard", ""),
    "get_tensorboard_experiment": ("one a tensorboard", ""),
    "list_tensorboard_runs": ("one an experiment", ""),
    "get_tensorboard_run": ("one an experiment", ""),
    "list_tensorboard_time_series": ("loss, accuracy, learning rate", ""),
    "get_tensorboard_time_series": ("loss, accuracy, learning rate", ""),
    "read_tensorboard_time_series_data": ("thinned evenly, the last point kept", ""),
    "batch_read_tensorboard_time_series_data": ("of one tensorboard", ""),
    "export_tensorboard_time_series_data": ("pages", "No filter."),
}
INFERENCE = [
    (
        "chat completions",
        "POST",
        "endpoints/{e}/chat/completions",
        "streamed and not, images, tools where the template knows them",
        "Context 8,192 tokens; no images by `https://`.",
    ),
    ("predict", "POST", "endpoints/{e}:predict", "chat form, plain prompt", "Chat form: one instance."),
    ("raw_predict", "POST", "endpoints/{e}:rawPredict", "chat, instances, prompt", "Plain JSON bodies only."),
    ("stream_raw_predict", "POST", "endpoints/{e}:streamRawPredict", "the same, streamed when asked", ""),
    (
        "server_streaming_predict",
        "POST",
        "endpoints/{e}:serverStreamingPredict",
        "refused, with what to use",
        "Takes no tensors.",
    ),
]


def table() -> str:
    lines = ["| call | path | v1 | here | known to differ |", "|---|---|---|---|---|"]
    seen: set[str] = set()
    for route in (route for module in MODULES for route in module.ROUTES):
        if route.method not in seen:
            seen.add(route.method)
            lines.append(_row(route))
    lines += [
        f"| {name} | `{verb} {path}` | yes | {here} | {differs} |" for name, verb, path, here, differs in INFERENCE
    ]
    return "\n".join(lines) + "\n"


def _row(route: Route) -> str:
    here, differs = DEPTH[route.method]
    in_v1 = "yes" if "/operations" in route.path or versions.has_call(route.method) else "no"
    path = route.path.replace("projects/*/locations/*", "…")
    return f"| {route.method} | `{route.verb} {path}` | {in_v1} | {here} | {differs} |"


def document(text: str) -> str:
    """`text` with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
