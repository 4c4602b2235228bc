"""The generated tables of docs/localvertex-calls.md: `python -m jobs.localvertex.reference` writes them anew."""

from functools import cache
from pathlib import Path

from jobs.localvertex.api import versions
from jobs.localvertex.app import MODULES
from jobs.localvertex.conformance.pairs import known_differences, read_pairs
from jobs.localvertex.conformance.unused import WITHOUT_EFFECT
from jobs.localvertex.resources.call import Route

DOCUMENT = Path(__file__).parents[2] / "docs" / "localvertex-calls.md"
BEGIN, END = "<!-- calls: generated -->\n", "<!-- /calls -->\n"
FIELDS_BEGIN, FIELDS_END = "<!-- fields: generated -->\n", "<!-- /fields -->\n"

DONE_AT_ONCE = "The operation is done when it answers."
OF_JOBS = "Those of tuning jobs are read only."


def _boards(word: str, many: str) -> dict[str, tuple[str, str]]:
    at_once = f" {DONE_AT_ONCE}" if word == "tensorboard" else ""
    name = "made id" if word == "tensorboard" else "chosen or made id" if word.endswith("series") else "chosen id"
    return {
        f"list_{many}": ("those made here, and those of tuning jobs; filter, order, pages", ""),
        f"get_{word}": ("those made here, and those of tuning jobs", ""),
        f"create_{word}": (name, at_once.strip()),
        f"update_{word}": ("names, labels; with a mask or by what is sent; etag", f"{OF_JOBS}{at_once}"),
        f"delete_{word}": ("with all below", f"{OF_JOBS} {DONE_AT_ONCE}"),
    }


# method → (what it does here, what is known to differ from Google's and no recorded pair shows)
DEPTH: dict[str, tuple[str, str]] = {
    "list_publisher_models": (
        "catalogue file, filter, order, pages",
        "Filters: `model_user_id`, `display_name`, `is_hf_wildcard()`, `can_deploy()`,"
        " `labels.VERIFIED_DEPLOYMENT_CONFIG`. No full text of model cards.",
    ),
    "get_publisher_model": (
        "deploy options, tuning, facts",
        "Facts are documentations of `viewRestApi`. With equivalents, an option on `g2-standard-12` comes first.",
    ),
    "export_publisher_model": (
        "the Hugging Face files of a model that can be tuned here, into the bucket",
        "No licence is asked for, as for a tuning.",
    ),
    "count_tokens": (
        "of contents, of instances for `:predict`, and of rows of training data",
        "By the model's own tokenizer and chat template. Google counts no rows.",
    ),
    "compute_tokens": ("of contents and instances", "Of texts only, without the chat template."),
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
        "Machine types are stored and not used; one worker pool. Without `--precision_mode`: bfloat16.",
    ),
    "list_custom_jobs": ("filter, pages, mask", ""),
    "get_custom_job": ("state, error, times", "Metrics are TensorBoard's event file in the bucket; so is the log."),
    "cancel_custom_job": ("within one step; finished checkpoints go to the bucket", ""),
    "delete_custom_job": ("ended ones", ""),
    "create_training_pipeline": (
        "custom containers, as a custom job",
        "Of containers, `pytorch-peft-train` only. No `inputDataConfig`.",
    ),
    "list_training_pipelines": ("filter, pages, mask", ""),
    "get_training_pipeline": ("state and error of its custom job", ""),
    "cancel_training_pipeline": ("its custom job", ""),
    "delete_training_pipeline": ("ended ones; the custom job stays", ""),
    "deploy": (
        "serves for real: base models, adapters, whole models that the engine can convert",
        "One replica on this machine, whatever was asked for. Container specs are only stored.",
    ),
    "get_operation": ("under `/v1`, `/v1beta1`, `/ui`", "`/ui` answers in the version that began it."),
    "list_operations": ("of a location or a resource, filter, pages", ""),
    "delete_operation": ("ended ones", ""),
    "cancel_operation": ("stops a deployment or an export", ""),
    "wait_operation": ("at most 30 s", ""),
    "create_endpoint": ("chosen or made id", "Requests are not logged."),
    "list_endpoints": ("filter, `base_model_name` too, order in v1, pages, mask", ""),
    "get_endpoint": (
        "replicas that answer now; asleep or starting",
        "The dedicated host: see [Dedicated endpoints](localvertex.md#dedicated-endpoints).",
    ),
    "update_endpoint": ("names, labels, traffic; etag", ""),
    "update_endpoint_long_running": ("`clientConnectionConfig`, stored", ""),
    "delete_endpoint": ("empty ones", ""),
    "deploy_model": (
        "several an endpoint, traffic split, chosen id, `checkpointId`",
        "Only `dedicatedResources` and `sharedResources`; one replica on this machine. Of LoRA, the last checkpoint"
        " only.",
    ),
    "undeploy_model": ("with traffic for the others", ""),
    "mutate_deployed_model": ("replica counts and metrics, stored", "Nothing scales."),
    "create_deployment_resource_pool": ("chosen id", f"{DONE_AT_ONCE} No encryption keys."),
    "list_deployment_resource_pools": ("pages", ""),
    "get_deployment_resource_pool": ("what was asked for", "What is in it runs on this machine, as all models do."),
    "update_deployment_resource_pool": ("with a mask or by what is sent", f"{DONE_AT_ONCE} Nothing scales."),
    "delete_deployment_resource_pool": ("unused ones", DONE_AT_ONCE),
    "query_deployed_models": ("pages", ""),
    "create_batch_prediction_job": (
        "JSONL in buckets; publishers' models, tuned ones, endpoints (v1beta1)",
        "See [Batch prediction](localvertex.md#batch-prediction)."
        " No BigQuery, CSV or TFRecord; no monitoring, no explanations. One job at a time.",
    ),
    "list_batch_prediction_jobs": ("filter, pages, mask", ""),
    "get_batch_prediction_job": ("state, counts of rows, error, output folder", ""),
    "cancel_batch_prediction_job": ("at once; rows that were answered are written", ""),
    "delete_batch_prediction_job": ("ended ones; the output stays", DONE_AT_ONCE),
    "evaluate_instances": (
        "exact match, BLEU, ROUGE, tool calls, trajectories",
        "Metrics that ask a model are `UNIMPLEMENTED`. Scores are sacreBLEU's and `rouge_score`'s;"
        " see [Evaluation](localvertex.md#evaluation).",
    ),
    "create_cached_content": ("refused: `UNIMPLEMENTED`", "No model here takes cached contents."),
    "list_cached_contents": ("always empty", ""),
    "get_cached_content": ("not found", ""),
    "update_cached_content": ("not found", ""),
    "delete_cached_content": ("not found", ""),
    "upload_model": (
        "new models and versions",
        "Files stay where they are; containers of model servers are read, not run.",
    ),
    "copy_model": ("new models and versions, to any location", "Files stay where they are."),
    "list_models": ("filter, order in v1, pages, mask", ""),
    "get_model": ("`@version`, `@alias`", ""),
    "update_model": (
        "names, descriptions, labels; with a mask or by what is sent; etag",
        "Labels and names belong to each version.",
    ),
    "delete_model": ("with all versions", ""),
    "list_model_versions": ("filter, order, pages", ""),
    "list_model_version_checkpoints": ("of tuned models", ""),
    "delete_model_version": ("any but the default", ""),
    "merge_version_aliases": ("move and remove aliases", ""),
    "recommend_spec": ("of a folder of weights", "This machine and enough quota, always."),
    "get_metadata_store": ("`default` only", ""),
    "create_context": ("chosen or made id", "Schemas are not looked at."),
    "list_contexts": ("filter, order, pages", ""),
    "get_context": ("those made here, and a tuning job's experiment", ""),
    "update_context": ("names, labels, `metadata`; with a mask or by what is sent", ""),
    "delete_context": ("those without children, or by force", ""),
    "create_execution": ("chosen or made id", "Schemas are not looked at."),
    "list_executions": ("filter, `in_context()`, order, pages", ""),
    "get_execution": ("those made here", ""),
    "update_execution": ("the same, and `state`", ""),
    "delete_execution": ("any", ""),
    "create_artifact": ("chosen or made id", "Schemas are not looked at."),
    "list_artifacts": ("filter, `in_context()`, order, pages", ""),
    "get_artifact": ("those made here", ""),
    "update_artifact": ("the same, `state` and `uri`", ""),
    "delete_artifact": ("any", ""),
    "add_context_artifacts_and_executions": ("links by name", ""),
    "add_context_children": ("links by name", "Circles are not looked for."),
    "query_context_lineage_subgraph": ("what was added to the context", "Not of its children."),
    "add_execution_events": ("inputs and outputs", ""),
    "query_execution_inputs_and_outputs": ("of one execution", ""),
    **{
        key: value
        for word, many in (
            ("tensorboard", "tensorboards"),
            ("tensorboard_experiment", "tensorboard_experiments"),
            ("tensorboard_run", "tensorboard_runs"),
            ("tensorboard_time_series", "tensorboard_time_series"),
        )
        for key, value in _boards(word, many).items()
    },
    "batch_create_tensorboard_runs": ("all or none", ""),
    "batch_create_tensorboard_time_series": ("all or none", ""),
    "write_tensorboard_run_data": ("scalars and tensors; a step that is written again has the new value", "No blobs."),
    "write_tensorboard_experiment_data": ("all runs or none", "No blobs."),
    "read_tensorboard_time_series_data": ("filter; thinned evenly, the last point kept", ""),
    "batch_read_tensorboard_time_series_data": ("of one tensorboard", ""),
    "export_tensorboard_time_series_data": ("filter, order, pages", ""),
    "read_tensorboard_size": ("bytes of the points", "As they are stored here."),
    "read_tensorboard_usage": ("nobody", "There are no web pages that somebody could look at."),
    "direct_predict": ("refused, with what to use", "Takes no tensors."),
    "direct_raw_predict": ("refused, with what to use", "Takes no tensors."),
    "explain": ("refused, with what to use", "Explains nothing."),
    "list_hyperparameter_tuning_jobs": ("none", ""),
    "create_hyperparameter_tuning_job": ("checked, then refused with what to do", "Runs no trials."),
    "get_hyperparameter_tuning_job": ("none", ""),
    "cancel_hyperparameter_tuning_job": ("none", ""),
    "delete_hyperparameter_tuning_job": ("none", ""),
    "list_persistent_resources": ("none", ""),
    "create_persistent_resource": ("checked, then refused with what to do", "Reserves no machines."),
    "get_persistent_resource": ("none", ""),
    "update_persistent_resource": ("none", ""),
    "delete_persistent_resource": ("none", ""),
    "reboot_persistent_resource": ("none", ""),
}
INFERENCE = [
    (
        "chat_completions",
        "POST",
        "endpoints/{e}/chat/completions",
        "streamed and not, images, tools where the template knows them",
        "Context 8,192 tokens; no images by `https://`.",
    ),
    (
        "completions",
        "POST",
        "endpoints/{e}/completions",
        "as vLLM's: several prompts, `n`, `echo`, `logprobs`, streamed",
        "Google has it at `invoke/v1/completions` only. No tokens as prompts, no `suffix`, no `best_of`. Not by gRPC.",
    ),
    (
        "generate_content",
        "POST",
        "endpoints/{e}:generateContent",
        "contents, system instruction, images, functions, schemas, log-probabilities",
        "Safety settings and labels do nothing. No tools of Google's, no caches, no thinking.",
    ),
    (
        "stream_generate_content",
        "POST",
        "endpoints/{e}:streamGenerateContent",
        "the same, as a list or as events (`alt=sse`)",
        "",
    ),
    ("predict", "POST", "endpoints/{e}:predict", "chat form, plain prompt", "Chat form: one instance."),
    ("raw_predict", "POST", "endpoints/{e}:rawPredict", "chat, instances, prompt", "Plain JSON bodies only."),
    ("stream_raw_predict", "POST", "endpoints/{e}:streamRawPredict", "the same, streamed when asked", ""),
    (
        "server_streaming_predict",
        "POST",
        "endpoints/{e}:serverStreamingPredict",
        "refused, with what to use",
        "",
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
        f"| {name} | `{verb} {path}` | yes | {here} | {_differences(name, differs)} |"
        for name, verb, path, here, differs in INFERENCE
    ]
    return "\n".join(lines) + "\n"


def _row(route: Route) -> str:
    here, differs = DEPTH[route.method]
    in_v1 = "yes" if "/operations" in route.path or versions.has_call(route.method) else "no"
    path = route.path.replace("projects/*/locations/*", "…")
    return f"| {route.method} | `{route.verb} {path}` | {in_v1} | {here} | {_differences(route.method, differs)} |"


@cache
def _shown_by_pairs() -> dict[str, list[str]]:
    return known_differences(read_pairs())


def _differences(call: str, others: str) -> str:
    """First what the recorded pairs show."""
    return " ".join([*_shown_by_pairs().get(call, []), *([others] if others else [])])


def unused_fields() -> str:
    rows = [f"| {call} | `{field}` | {why} |" for (call, field), why in WITHOUT_EFFECT.items()]
    return "\n".join(["| call | field | why it has no effect |", "|---|---|---|", *rows]) + "\n"


def document(text: str) -> str:
    """`text` with the tables as they are now."""
    for begin, content, end in ((BEGIN, table(), END), (FIELDS_BEGIN, unused_fields(), FIELDS_END)):
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{content}{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
