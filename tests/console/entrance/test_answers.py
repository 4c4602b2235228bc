import asyncio
import io

import pytest

from console.entrance.answers import FILE_PART, Gone, file_parts
from jobs.errors import StoreUnavailable


class Breaking(io.BytesIO):
    """A file of a store that goes away after its first part."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise StoreUnavailable("The file store does not answer.")
        return super().read(size)


def taken(file: io.BytesIO, length: int | None) -> bytes:
    async def take() -> bytes:
        return b"".join([part async for part in file_parts(file, length)])

    return asyncio.run(take())


def test_a_file_is_sent_up_to_the_length_that_was_announced() -> None:
    content = b"a" * (FILE_PART + 10)
    assert taken(io.BytesIO(content), FILE_PART + 5) == content[:-5]
    assert taken(io.BytesIO(content), None) == content


@pytest.mark.parametrize("length", [2 * FILE_PART, None])
def test_a_file_that_cannot_be_read_on_does_not_pass_for_a_whole_one(length: int | None) -> None:
    with pytest.raises(Gone):
        taken(Breaking(b"a" * 2 * FILE_PART), length)


def test_a_file_that_became_shorter_does_not_either() -> None:
    with pytest.raises(Gone):
        taken(io.BytesIO(b"short"), 10)
