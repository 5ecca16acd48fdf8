"""Other recognisers of recordings, asked the same as ours by `benchmarks.recognition_peers`."""
