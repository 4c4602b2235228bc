import gc

# A start makes hundreds of thousands of objects that stay. By default they are looked through again and again, which
# takes a tenth of its processor time; pages of long lists make as many for a moment.
gc.set_threshold(50_000, 20, 100)

from .celery import app as celery_app  # noqa: E402  after the line above, or importing it is not faster

__all__ = ["celery_app"]
