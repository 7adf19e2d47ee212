#!/bin/sh
# One process an invocation: the request is on stdin, the answer goes to stdout, 0 is the exit code.
. "$(dirname "$0")/bulkhead.sh"

# The engine's own envelope, returned as it is: body, http_status (or nothing), error, accepted.
envelope() {
  printf '{"spiff":{"command_response_version":2,"command_response":{"body":%s,"mimetype":"application/json"%s},"error":%s,"spiff__logs":[]},"accepted":%s}\n' \
    "$1" "${2:+,\"http_status\":$2}" "${3:-null}" "${4:-false}"
}

json_get /command /input/arg1 /input/arg2 /input/message /context/callbackUrl | {
  read -r command; read -r arg1; read -r arg2; read -r message; read -r callback

  case $command in
    '"CombineStrings"')
      envelope "{\"command_response\":{\"example_response\":\"whatever you want\",\"arg1\":$arg1,\"arg2\":$arg2}}" ;;
    '"Example"')
      envelope "{\"example_response\":\"whatever you want\",\"message\":$message}" ;;
    '"AsyncBodyStatus"')
      # Says no to a long-running start: accepted when the caller waits for a callback, and the same answer at once otherwise.
      case $callback in '' | null) accepted=false ;; *) accepted=true ;; esac
      envelope '{"started":false}' 500 \
        '{"error_code":"AsyncStartRejected","message":"The async command rejected the start request."}' "$accepted" ;;
    *)
      printf '{"error":{"errorCode":"command_not_found","message":"This connector has no command %s."}}\n' "$(printf '%s' "$command" | tr -d '\\"')" ;;
  esac
}
