"""Same tune: what is kept of a recording's melody, and how a hummed or whistled one is found in it.

See docs/tunes.md.
"""
