"""The files of a form, as they are written to the disk."""

from typing import Any

from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadhandler import TemporaryFileUploadHandler

SEVERAL = ("files",)
"""The fields that take more than one; of all others Django would keep the last, in silence."""


class TwoFiles(TooManyFilesSent):
    """A form with two files for a field that takes one; 400, and nothing of it is kept."""


class OneFileEach(TemporaryFileUploadHandler):
    """Django's, which refuses the second file of a field before it is read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: set[str] = set()

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        if field_name in self.seen and field_name not in SEVERAL:
            raise TwoFiles(f"There are two files in “{field_name[:50]}”; send one at a time.")
        self.seen.add(field_name)
        super().new_file(field_name, *args, **kwargs)
