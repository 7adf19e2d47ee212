import requests

from report import report


def get(url):
    answer = requests.get(url, timeout=20)
    return {"status": answer.status_code, "body": answer.text}


report(get)
