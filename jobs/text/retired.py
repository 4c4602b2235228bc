"""Sentences that rows may still hold and no code says any more: here they keep their translation.

`python -m tests.support.kinds` writes this.
"""

# ruff: noqa: E501
TEXTS = ()
