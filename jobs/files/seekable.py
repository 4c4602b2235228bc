"""What a reader of bytes that lie elsewhere has to say about its place."""

import io


class SeekableReader(io.RawIOBase):
    """Whoever inherits it has `size`, and `readinto`, which reads at `self._at` and moves it on."""

    _at = 0

    @property
    def size(self) -> int:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence])
        return self._at
