from . import garbage

garbage.collect_seldom()

from .celery import app as celery_app  # noqa: E402  after the line above, or importing it is not faster

__all__ = ["celery_app"]
