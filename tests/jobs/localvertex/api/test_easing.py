import pytest
from google.cloud.aiplatform_v1beta1 import TuningJob

from jobs.localvertex.api.easing import find_fraction

DESCRIPTOR = TuningJob.pb().DESCRIPTOR


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"state": 1.5}, "state"),
        ({"supervisedTuningSpec": {"tuningMode": 0.5}}, "supervised_tuning_spec.tuning_mode"),
        ({"state": 2.0, "supervisedTuningSpec": {"hyperParameters": {"learningRate": 0.5}}}, ""),
        ({"labels": {"a": 1.5}, "unknown": {"state": 1.5}}, ""),
        ([1.5], ""),
    ],
)
def test_an_enum_is_no_fraction(body, path):
    assert find_fraction(body, DESCRIPTOR) == path
