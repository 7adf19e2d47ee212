import urllib.request

from report import report


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return {"status": answer.status, "body": answer.read().decode()}


report(get)
