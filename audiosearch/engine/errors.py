"""Everything that can go wrong in the engine, in words a person understands."""


class EngineError(Exception):
    """Root of all engine errors.

    `code` is stable and meant for programs; the message is one sentence meant for people;
    `retryable` says whether the same call may succeed later without anybody changing the input.
    """

    code = "engine_error"
    retryable = False


class AudioError(EngineError):
    """The audio cannot be used; the same bytes will never do."""

    code = "bad_audio"


class UnsupportedAudio(AudioError):
    code = "unsupported_audio"


class CorruptAudio(AudioError):
    code = "corrupt_audio"


class NoSuchStream(AudioError):
    """The file has no sound track of that number or language."""

    code = "no_such_stream"


class EmptyAudio(AudioError):
    code = "empty_audio"


class TooShort(AudioError):
    code = "too_short"


class SilentAudio(AudioError):
    code = "silent_audio"


class NoSpeech(AudioError):
    code = "no_speech"


class TooLong(AudioError):
    code = "too_long"


class TooCostly(AudioError):
    """Decoding takes more time than the sound is worth."""

    code = "too_costly"


class TooLarge(AudioError):
    code = "too_large"


class Conflict(EngineError):
    """What is asked contradicts what is there; nothing was changed."""

    code = "conflict"


class OverQuota(EngineError):
    """There is no room for a recording, or for another of this user's."""

    code = "quota_exceeded"


class ModelUnavailable(EngineError):
    """The encoder's weights are not on this machine, or are not what they should be."""

    code = "model_unavailable"


class DownloadFailed(ModelUnavailable):
    """A weight file could not be fetched; what was fetched is kept and the next try resumes."""

    code = "download_failed"
    retryable = True


class ExtraMissing(EngineError):
    """Packages that only some work needs are not installed; `extra` is their name in `extras`."""

    code = "extra_missing"

    def __init__(self, extra: str, message: str) -> None:
        super().__init__(message)
        self.extra = extra


class IndexUnavailable(EngineError):
    """The vector index does not answer."""

    code = "index_unavailable"
    retryable = True


class IndexUnreadable(IndexUnavailable):
    """The vector index answers, but its files are damaged; they are rebuilt from what is kept."""

    code = "index_unreadable"


class SpaceMissing(EngineError):
    """The vector index has no such space."""

    code = "space_missing"


class Busy(EngineError):
    """Every slot for this kind of work is taken."""

    code = "busy"
    retryable = True
