"""The demo catalogue, synthesised by the project itself: nothing to download or to license."""

from audiosearch.engine.synth.catalogue import DemoSound, demo_sounds
from audiosearch.engine.synth.flac import write_flac

__all__ = ["DemoSound", "demo_sounds", "write_flac"]
