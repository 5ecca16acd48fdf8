"""What Cnn14 takes and gives, for running it and for exporting it."""

RATE = 32000
SHORTEST = 31 * 320  # samples (0.31 s); fewer frames than 32 do not survive five poolings by two
