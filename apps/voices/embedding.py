"""From a recording to the voice in it, and whether it will do to know somebody by."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings

from apps.analysis.clips import decode_clip
from apps.analysis.turns import model_turn, query_slot
from apps.voices.thresholds import point_in_force
from audiosearch.engine.analyzers.base import Encoder, FloatArray
from audiosearch.engine.analyzers.registry import analyzer_spec, load_encoder
from audiosearch.engine.errors import AudioError, ModelUnavailable
from audiosearch.engine.voice.activity import Activity
from audiosearch.engine.voice.speech import RATE, Speech, find_speech

log = logging.getLogger(__name__)
LONGEST_S = 300
CHUNK_S = 3
ENROL_NET_MS = 3_000
ENROL_SNR_DB = 10.0
ENROL_CLIPPED = 0.005
AT_ONCE = 8  # chunks in the model


class PoorRecording(AudioError):
    """Not good enough to know a voice by; the message says what to record instead."""

    code = "poor_recording"


@dataclass(frozen=True)
class Voice:
    """A voice as the encoder hears it: embedding (d,), a unit vector; speech: what was spoken."""

    embedding: FloatArray
    speech: Speech


def voice_space() -> str:
    """Name of the space of the voice encoder in use."""
    return analyzer_spec(settings.VOICE_ENCODER).space


def embed_voice(path: Path) -> Voice:
    """The voice in the first five minutes of an audio file.

    Raises AudioError when it cannot be read or nobody speaks, and Busy when too many ask at once.
    """
    with query_slot():
        return embed_samples(decode_clip(path, RATE, most_s=LONGEST_S, end_ms=LONGEST_S * 1000))


def embed_samples(samples: FloatArray) -> Voice:
    """The voice in (n,) float32 mono at 16 kHz. Raises NoSpeech when nobody speaks."""
    with query_slot():
        speech = find_speech(samples)
        with model_turn():
            return Voice(voice_encoder().encode(speech.samples[None]).embeddings[0], speech)


def voice_encoder(name: str = "") -> Encoder:
    """The warm voice encoder of this process, by default the one in use.

    Raises ModelUnavailable, too for one that is no encoder of voices.
    """
    name = name or settings.VOICE_ENCODER
    if analyzer_spec(name).kind != "speaker":
        raise ModelUnavailable(f"The encoder {name} does not hear voices.")
    return load_encoder(name, settings.MODELS_DIR, threads=settings.ENCODER_THREADS)


def coherence(speech: Speech) -> float:
    """The least cosine similarity between two stretches of 3 s: low when two people speak.

    1.0 when there is only one stretch.
    """
    size = CHUNK_S * RATE
    count = max(len(speech.samples) // size, 1)
    whole = speech.samples[: count * size].reshape(count, -1)
    encoder = voice_encoder()
    with model_turn():
        chunks = np.concatenate(
            [encoder.encode(whole[at : at + AT_ONCE]).embeddings for at in range(0, count, AT_ONCE)]
        )
    return float((chunks @ chunks.T).min())


def refuse_poor(voice: Voice) -> None:
    """Raise PoorRecording unless somebody can be known by this; all reasons at once."""
    problems = problems_of(voice)
    if problems:
        raise PoorRecording(" ".join(problems))


def problems_of(voice: Voice) -> list[str]:
    """What is wrong with a recording to enrol by, each with what to record instead."""
    speech, problems = voice.speech, []
    if speech.net_ms < ENROL_NET_MS:
        problems.append(
            f"It holds {speech.net_ms / 1000:.1f} s of speech; "
            f"speak for at least {ENROL_NET_MS // 1000} s, better ten."
        )
    if speech.snr_db < ENROL_SNR_DB:
        problems.append(
            f"The voice is only {speech.snr_db:.0f} dB above the noise, {ENROL_SNR_DB:.0f} are "
            "needed; record in a quieter place, nearer to the microphone."
        )
    if speech.clipped > ENROL_CLIPPED:
        problems.append(
            f"{speech.clipped:.1%} of it is clipped; turn the recording level down and try again."
        )
    if coherence(speech) < _one_voice():
        problems.append("More than one person seems to speak; record one voice alone.")
    return problems


def _one_voice() -> float:
    """How alike two stretches of one voice are at least; anything goes where that is not known."""
    try:
        return point_in_force(voice_space()).likeness.windows
    except ModelUnavailable:
        return -1.0


def warm_up_voices() -> None:
    """Load what hears voices, and export the encoder at the first start ever, before one waits."""
    try:
        Activity()
        voice_encoder()
    except ModelUnavailable as error:
        log.warning("voices are not ready: %s", error)
