"""Sends one mail as a SendEmail command does; a target is host:port, or host:port:starttls."""
import smtplib
import ssl
from email.message import EmailMessage

from report import report


def send(target):
    host, port, *words = target.split(":")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@test.example", "b@test.example", "A mail"
    mail.set_content("Hello from a client that knows no proxy\n")
    with smtplib.SMTP(host, int(port), timeout=20) as server:
        if "starttls" in words:
            server.starttls(context=ssl.create_default_context())
        refused = server.send_message(mail)
    return {"status": 250, "body": str(refused)}


report(send)
