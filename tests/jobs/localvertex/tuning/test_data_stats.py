from jobs.localvertex.tuning.data_stats import NO_ANSWER, TOO_LONG, data_stats

EVENT = {
    "examples": 4,
    "characters": 400,
    "tokens": 60,
    "billable_tokens": 60,
    "steps": 8,
    "steps_per_epoch": 4,
    "input_tokens": [10, 12, 14, 24],
    "output_tokens": [1, 2, 3, 4],
    "messages": [2, 2, 2, 4],
}


def stats(**lost):
    return data_stats(EVENT | lost).supervised_tuning_data_stats


def test_rows_that_are_cut_or_left_out_are_counted_from_one():
    found = stats(truncated=[1, 5, 6], dropped=2, dropped_rows=[5, 8])
    assert (found.total_truncated_example_count, list(found.truncated_example_indices)) == (4, [6, 9, 2, 7])
    assert list(found.dropped_example_reasons) == [TOO_LONG, NO_ANSWER]


def test_only_a_sample_of_the_indices_is_sent():
    found = stats(truncated=list(range(5000)))
    assert (found.total_truncated_example_count, len(found.truncated_example_indices)) == (5000, 1000)
    assert list(found.dropped_example_reasons) == []


def test_a_few_messages_are_shown():
    turns = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello!"}]
    shown = stats(samples=turns).user_dataset_examples
    assert [(content.role, content.parts[0].text) for content in shown] == [("user", "Hi"), ("model", "Hello!")]


def test_distributions():
    found = stats()
    messages = found.user_message_per_example_distribution
    assert (messages.sum, messages.min_, messages.max_, messages.mean, messages.median) == (10, 2, 4, 2.5, 2)
    assert [bucket.count for bucket in found.user_input_token_distribution.buckets] == [2, 1, 0, 0, 1]
    assert (found.total_truncated_example_count, found.total_billable_token_count) == (0, 60)
