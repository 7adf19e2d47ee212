#!/bin/sh
read -r document
text=$(printf '%s' "$document" | sed -n 's/.*"input" *: *{ *"text" *: *"\([^"\\]*\)".*/\1/p')
if [ -n "$text" ]; then
  printf '{"body": "%s"}\n' "$(printf '%s' "$text" | tr '[:lower:]' '[:upper:]')"
else
  printf '{"error": {"message": "text must be plain text", "errorCode": "bad_text", "httpStatus": 400}}\n'
fi
