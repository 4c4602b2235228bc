"""Google's statistics of a data set, from what the engine counted."""

import statistics

from google.cloud.aiplatform_v1beta1.types import (
    SupervisedTuningDatasetDistribution,
    SupervisedTuningDataStats,
    TuningDataStats,
)

from jobs.localvertex.wire import Json


def data_stats(event: Json) -> TuningDataStats:
    epochs = max(1, round(event["steps"] / max(event.get("steps_per_epoch") or event["steps"], 1)))
    dropped = int(event.get("dropped", 0))
    stats = SupervisedTuningDataStats(
        tuning_dataset_example_count=event["examples"],
        total_tuning_character_count=event["characters"],
        total_billable_token_count=event.get("billable_tokens", event["tokens"] * epochs),
        tuning_step_count=event["steps"],
        user_input_token_distribution=_distribution(event.get("input_tokens", [])),
        user_output_token_distribution=_distribution(event.get("output_tokens", [])),
        total_truncated_example_count=len(event.get("truncated", [])),
        truncated_example_indices=event.get("truncated", []),
        dropped_example_reasons=["The example has no answer within the length limit."] * dropped,
    )
    return TuningDataStats(supervised_tuning_data_stats=stats)


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
