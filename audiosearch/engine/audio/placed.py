"""What is read and written like a file without being one, for FFmpeg: it knows its place."""

import io


class Placed(io.RawIOBase):
    """Keeps the place `at`; whoever inherits knows the size, and reads or writes from there on."""

    at = 0

    def size(self) -> int:
        """In bytes, as seeking from the end wants it."""
        raise NotImplementedError

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at}.get(whence)
        self.at = max(0, (self.size() if base is None else base) + offset)
        return self.at
