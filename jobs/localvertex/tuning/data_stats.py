"""Google's statistics of a dataset, from what the engine counted."""

import statistics

from google.cloud.aiplatform_v1beta1.types import (
    Content,
    Part,
    SupervisedTuningDatasetDistribution,
    SupervisedTuningDataStats,
    TuningDataStats,
)

from jobs.localvertex.api.wire import Json

SAMPLE = 1000
TOO_LONG = "The example has no answer within the length limit."
NO_ANSWER = "The example has no answer to learn."


def data_stats(event: Json) -> TuningDataStats:
    epochs = max(1, round(event["steps"] / max(event.get("steps_per_epoch") or event["steps"], 1)))
    lost = _list_truncated_rows(event)
    stats = SupervisedTuningDataStats(
        tuning_dataset_example_count=event["examples"],
        total_tuning_character_count=event["characters"],
        total_billable_token_count=event.get("billable_tokens", event["tokens"] * epochs),
        tuning_step_count=event["steps"],
        user_input_token_distribution=_distribution(event.get("input_tokens", [])),
        user_output_token_distribution=_distribution(event.get("output_tokens", [])),
        user_message_per_example_distribution=_distribution(event.get("messages", [])),
        user_dataset_examples=[_content(turn) for turn in event.get("samples", [])],
        total_truncated_example_count=len(lost),
        truncated_example_indices=[row + 1 for row in list(lost)[:SAMPLE]],
        dropped_example_reasons=[reason for reason in list(lost.values())[:SAMPLE] if reason],
    )
    return TuningDataStats(supervised_tuning_data_stats=stats)


def _content(turn: Json) -> Content:
    role = "model" if turn["role"] == "assistant" else turn["role"]
    return Content(role=role, parts=[Part(text=turn["text"])])


def _list_truncated_rows(event: Json) -> dict[int, str]:
    """Rows that are not learned whole, with the reason why a row is left out. Google counts what it drops; a row that
    is only cut is counted with these and has no reason. The dropped ones come first, so that reasons and indices match.
    """
    cut = dict.fromkeys(event.get("truncated", []))
    dropped = {row: TOO_LONG if row in cut else NO_ANSWER for row in event.get("dropped_rows", [])}
    return dropped | {row: "" for row in cut if row not in dropped}


def _distribution(counts: list[int]) -> SupervisedTuningDatasetDistribution:
    if not counts:
        return SupervisedTuningDatasetDistribution()
    ordered = sorted(counts)
    width = (ordered[-1] - ordered[0]) / 5 or 1
    buckets = []
    for index in range(5):
        left, right = ordered[0] + index * width, ordered[0] + (index + 1) * width
        inside = [n for n in ordered if left <= n and (n < right or index == 4)]
        bucket = SupervisedTuningDatasetDistribution.DatasetBucket(count=len(inside), left=left, right=right)
        buckets.append(bucket)
    return SupervisedTuningDatasetDistribution(
        sum=sum(ordered),
        billable_sum=sum(ordered),
        min_=ordered[0],
        max_=ordered[-1],
        mean=statistics.fmean(ordered),
        median=statistics.median(ordered),
        p5=ordered[int(0.05 * (len(ordered) - 1))],
        p95=ordered[int(0.95 * (len(ordered) - 1))],
        buckets=buckets,
    )
