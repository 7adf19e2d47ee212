"""Runs one client program and tells what it printed. It knows nothing of proxies itself: the program inherits the environment, or with
`via: direct` the environment without any word of a proxy."""
import json
import os
import subprocess
import sys
import time

PROXY_WORDS = ("PROXY", "JAVA_TOOL_OPTIONS")
PROGRAMS = {
    "node fetch": ["node", "fetch.mjs"],
    "node:http": ["node", "http.mjs"],
    "python urllib": ["python3", "urllib_client.py"],
    "python requests": ["python3", "requests_client.py"],
    "java": ["java", "Client.java"],
    "python smtplib": ["python3", "smtp_client.py"],
    "python socket": ["python3", "raw_client.py"],
    "node:net": ["node", "raw.mjs"],
    "perl socket": ["perl", "raw.pl"],
    "node:tls": ["node", "tls.mjs"],
}


def curl(url, environment):
    began = time.monotonic()
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", url], env=environment, capture_output=True, text=True)
    ms = round((time.monotonic() - began) * 1000)
    if done.returncode != 0:
        return {"target": url, "ok": False, "error": done.stderr.strip(), "ms": ms}
    body, _, status = done.stdout.rpartition("\n")
    return {"target": url, "ok": True, "status": int(status), "body": body, "ms": ms}


def run(given):
    environment = dict(os.environ)
    if given["via"] == "direct":
        for name in list(environment):
            if any(word in name.upper() for word in PROXY_WORDS):
                del environment[name]
    if given["client"] == "curl":
        return {"results": [curl(url, environment) for url in given["targets"]], "stderr": ""}
    done = subprocess.run(PROGRAMS[given["client"]] + given["targets"], env=environment, capture_output=True, text=True)
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {"results": results, "stderr": done.stderr[-2000:], "exitCode": done.returncode}


print(json.dumps({"body": run(json.load(sys.stdin)["input"])}))
