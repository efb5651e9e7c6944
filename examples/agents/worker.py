"""A worker: says that it works, then is done (`once`), or waits until a signal ends it (`forever`)."""

import signal
import sys

print("working", flush=True)
if sys.argv[1] == "forever":
    signal.pause()
