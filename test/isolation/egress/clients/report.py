import json
import sys
import time


def report(work):
    """One line of JSON for each target, with what came of it and how long it took."""
    for target in sys.argv[1:]:
        began = time.monotonic()
        try:
            told = {"ok": True, **work(target)}
        except Exception as error:
            told = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"target": target, **told, "ms": round((time.monotonic() - began) * 1000)}), flush=True)
