"""The demo catalogue, synthesised by the project itself: nothing to download or to license."""

from apps.ops.demo.catalogue import DemoSound, demo_sounds
from apps.ops.demo.flac import write_flac

__all__ = ["DemoSound", "demo_sounds", "write_flac"]
