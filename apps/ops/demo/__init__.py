"""The demo catalogue, synthesised by the project itself: nothing to download or to license."""

from apps.ops.demo.catalogue import DemoSound, demo_sounds
from apps.ops.demo.flac import write_flac
from apps.ops.demo.shaping import RATE

__all__ = ["RATE", "DemoSound", "demo_sounds", "write_flac"]
