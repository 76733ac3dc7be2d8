"""Times one peer at a time, when asked; ../peer.lua asks.

Requests and replies are lines:
    make FAMILY FORM LEAST key=value ...   ok, missing WHY or failed WHY
    sample                                 seconds per call
A family is a module here whose FORMS maps a name to a function that prepares
its inputs and returns the call to time.  LEAST is how long a sample lasts.
Threads and allocator are fixed by the environment this is started in.
"""
import importlib
import importlib.metadata
import os
import sys
import time

SETTLE = 0.005  # idle OpenMP workers spin for about that long


def versions():
    found = []
    for name in ("torch", "numpy", "scikit-learn", "performer-pytorch", "pytorch-fast-transformers"):
        try:
            found.append(name + " " + importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            pass
    return ", ".join(found)


def value(text):
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() else text


def timed(call, count):
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


class Peer:
    call, count = None, 1

    def make(self, family, form, least, *options):
        self.call = None
        module = importlib.import_module(family)
        self.call = module.FORMS[form](**{k: value(v) for k, v in (o.split("=") for o in options)})
        self.call()
        self.count, least = 1, float(least)
        while (each := timed(self.call, self.count)) * self.count < least:
            self.count = max(2 * self.count, int(least / max(each, 1e-9)) + 1)
        time.sleep(SETTLE)
        return "ok"

    def sample(self):
        seconds = timed(self.call, self.count)
        time.sleep(SETTLE)
        return repr(seconds)


def main():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    peer = Peer()
    print("ready", versions(), file=replies, flush=True)
    for line in sys.stdin:
        what, *words = line.split()
        try:
            reply = getattr(peer, what)(*words)
        except ImportError as error:
            reply = "missing " + str(error).split("\n")[0]
        except Exception as error:
            reply = "failed " + type(error).__name__ + ": " + str(error).split("\n")[0]
        print(reply, file=replies, flush=True)


if __name__ == "__main__":
    main()
