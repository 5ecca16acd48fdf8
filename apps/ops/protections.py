"""What keeps in the processes that decode what strangers send, in one line for people."""

from audiosearch.engine.audio.confinement import PROTECTIONS
from audiosearch.engine.audio.sandbox import protections
from audiosearch.engine.errors import Busy


def decoder_protections() -> str:
    """A line that says which protections of the kernel hold for decoders; starts one to know."""
    try:
        held = protections()
    except Busy as error:
        return f"Decoders: {error}"
    if set(held) == set(PROTECTIONS):
        return (
            f"Decoders run with an empty environment, {', '.join(held)}: "
            "no network, no programs, no files but those they are handed."
        )
    missing = ", ".join(name for name in PROTECTIONS if name not in held)
    told = ", ".join(("Decoders run with an empty environment", *(held or ("and nothing else",))))
    return f"{told}. Missing here: {missing}."
