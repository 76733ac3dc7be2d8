"""Times peers, one at a time, when asked; ../peer.lua asks.

Requests and replies are lines:
    clear                                  ok; forgets the calls made
    make FAMILY FORM LEAST key=value ...   ok NUMBER SECONDS, missing WHY or failed WHY
    sample NUMBER                          seconds per call of the call of that number
A family is a module here whose FORMS maps a name to a function that prepares
its inputs and returns the call to time.  LEAST is how long a sample lasts, and
SECONDS what a call took; one that is not ready after BOUND seconds has failed.
Threads and allocator are fixed by the environment this is started in.
"""
import importlib
import importlib.metadata
import os
import signal
import sys
import time

SETTLE = 0.005  # idle OpenMP workers spin for about that long
BOUND = 20  # seconds, several calls


def versions():
    found = []
    for name in ("torch", "numpy", "scikit-learn", "performer-pytorch", "pytorch-fast-transformers",
                 "fla-core"):
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


def too_long(*_):
    raise TimeoutError("takes over %d s" % BOUND)


class Peers:
    def __init__(self):
        self.calls = []  # (call, calls a sample)

    def clear(self):
        self.calls.clear()
        return "ok"

    def make(self, family, form, least, *options):
        module = importlib.import_module(family)
        signal.alarm(BOUND)
        try:
            call = module.FORMS[form](**{k: value(v) for k, v in (o.split("=") for o in options)})
            call()
            count, least = 1, float(least)
            while (each := timed(call, count)) * count < least:
                count = max(2 * count, int(least / max(each, 1e-9)) + 1)
        finally:
            signal.alarm(0)
        self.calls.append((call, count))
        time.sleep(SETTLE)
        return "ok %d %r" % (len(self.calls) - 1, each)

    def sample(self, number):
        seconds = timed(*self.calls[int(number)])
        time.sleep(SETTLE)
        return repr(seconds)


def main():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    signal.signal(signal.SIGALRM, too_long)
    peers = Peers()
    print("ready", versions(), file=replies, flush=True)
    for line in sys.stdin:
        what, *words = line.split()
        try:
            reply = getattr(peers, what)(*words)
        except ImportError as error:
            reply = "missing " + str(error).split("\n")[0]
        except Exception as error:
            reply = "failed " + type(error).__name__ + ": " + str(error).split("\n")[0]
        print(reply, file=replies, flush=True)


if __name__ == "__main__":
    main()
