"""What `sandbox` and the decoder process say to each other.

A request is JSON with one descriptor, the file. The answer is a row of messages, each its kind and
its length before it: `d` data, `p` progress, then `e` an error or `z` the end. The first message
of all, `r`, says that the libraries are loaded. Samples come as one message for each rate asked
for, in the order of the request, and again for the next block. Pieces of a file that is written
have their place in it before them.
"""

import struct

HEADER = struct.Struct("<cI")
PLACE = struct.Struct("<Q")
