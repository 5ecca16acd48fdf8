"""Where somebody speaks in a recording, and whether it is good enough to know them by.

Silero's network says where there is speech at all (`activity.py`). Within it, frames are WebRTC's
(https://webrtc.org, by the kept package webrtcvad-wheels), and levels, smoothing and bridging those
that the speech for Resemblyzer's published weights was prepared with
(https://github.com/resemble-ai/Resemblyzer, `audio.py`): the encoder expects them. WebRTC alone
takes rain, engines and crackling fire for speech.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import NoSpeech
from audiosearch.engine.voice.activity import HOP, RATE, speech_probabilities, spoken

FRAME = 480  # samples, 30 ms
AGGRESSIVENESS = 3  # of 0 to 3: the fewest sounds that are not speech
LEVEL_DBFS = -30.0
SMOOTHED = 8  # frames
BRIDGED = 7  # frames
MIN_SPEECH_MS = 300
CLIPPED = 0.999
NOISE_PERCENTILE = 10
TINY = 1e-10


@dataclass(frozen=True)
class Speech:
    """What is spoken in a recording.

    samples: (n,) float32 mono at 16 kHz, the spoken parts one after the other, raised to -30 dBFS;
    snr_db: energy of the spoken frames over that of the quietest tenth of all; clipped: share of
    samples of the recording at full scale, 0..1.
    """

    samples: FloatArray
    snr_db: float
    clipped: float

    @property
    def net_ms(self) -> int:
        return len(self.samples) * 1000 // RATE


def find_speech(samples: FloatArray) -> Speech:
    """The spoken parts of a recording; samples: (n,) float32 mono at 16 kHz.

    Raises NoSpeech when less than 0.3 s of it is speech, and ModelUnavailable.
    """
    whole, voiced = speech_frames(samples)
    speech = whole[np.repeat(voiced, FRAME)]
    if len(speech) * 1000 < MIN_SPEECH_MS * RATE:
        raise NoSpeech(
            f"There is hardly any speech in it ({len(speech) * 1000 // RATE} ms); "
            "record somebody speaking for a few seconds, near the microphone."
        )
    return Speech(
        samples=speech,
        snr_db=_snr_db(whole, voiced),
        clipped=float(np.mean(np.abs(samples) >= CLIPPED)),
    )


def speech_frames(samples: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The samples of whole frames of 30 ms, raised to -30 dBFS, and (frames,) which are speech.

    A pause of less than 0.2 s is taken for speech, too. Raises ModelUnavailable.
    """
    whole = raised(samples)
    return whole, voiced_frames(whole) & frames_in_speech(whole)


def raised(samples: FloatArray) -> FloatArray:
    """Whole frames of 30 ms, at -30 dBFS unless they are louder."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    level_dbfs = 20 * np.log10(max(level, TINY))
    gain = 10 ** (max(LEVEL_DBFS - level_dbfs, 0.0) / 20)
    louder = (samples * np.float32(gain)).astype(np.float32)
    return louder[: len(louder) // FRAME * FRAME]


def frames_in_speech(samples: FloatArray) -> NDArray[np.bool_]:
    """(frames,) whether the middle of each frame lies in what Silero takes for speech."""
    middles = np.arange(FRAME // 2, len(samples), FRAME)
    return spoken(speech_probabilities(samples))[middles // HOP]


def voiced_frames(samples: FloatArray) -> NDArray[np.bool_]:
    """(frames,) what WebRTC takes for speech, or is a pause of less than 0.2 s within it."""
    from webrtcvad import Vad

    pcm = np.round(np.clip(samples, -1, 1) * 32_767).astype("<i2").reshape(-1, FRAME)
    detector = Vad(AGGRESSIVENESS)
    flags = np.array([detector.is_speech(frame.tobytes(), RATE) for frame in pcm], dtype=float)
    if not len(flags):
        return np.zeros(0, dtype=bool)
    padded = np.pad(flags, ((SMOOTHED - 1) // 2, SMOOTHED // 2))
    smoothed = np.convolve(padded, np.ones(SMOOTHED) / SMOOTHED, "valid")
    core = np.pad(np.round(smoothed), BRIDGED // 2)
    return np.convolve(core, np.ones(BRIDGED), "valid") > 0


def _snr_db(samples: FloatArray, voiced: NDArray[np.bool_]) -> float:
    energy = np.mean(np.square(samples.reshape(-1, FRAME), dtype=np.float64), axis=1)
    noise = max(float(np.percentile(energy, NOISE_PERCENTILE)), TINY)
    return float(10 * np.log10(max(float(energy[voiced].mean()), TINY) / noise))
