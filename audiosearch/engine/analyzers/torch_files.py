"""What PyTorch raises when it is to load weights from a file that does not hold them."""

import pickle
import struct

UNREADABLE = (
    *(OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, AttributeError),
    *(IndexError, pickle.UnpicklingError, struct.error),
)
