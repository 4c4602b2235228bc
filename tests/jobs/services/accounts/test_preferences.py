import pytest

from jobs.services.accounts import preferences

pytestmark = pytest.mark.django_db


def test_defaults_are_not_kept_before_they_are_changed(owner):
    found = preferences.of(owner)
    assert (found.density, found.rows_per_page, found.hidden_columns) == ("comfortable", 50, {})


def test_each_list_has_its_own_columns(owner):
    preferences.save_list(owner, "tuning", hidden=["region", "base"], density="compact", rows=25)
    preferences.save_list(owner, "endpoints", hidden=[], density="compact", rows=100)
    found = preferences.of(owner)
    assert (found.rows_per_page, found.hidden_columns) == (100, {"tuning": ["base", "region"], "endpoints": []})
