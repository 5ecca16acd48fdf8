"""The demo catalogue, synthesised by the project itself: nothing to download or to license."""
