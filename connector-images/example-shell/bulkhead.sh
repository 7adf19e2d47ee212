# Bulkhead's helpers for connectors in POSIX shell (`protocol: oneshot`): sourced, one file and json.awk, nothing to install.
# Values are passed on as their own JSON text, so nothing in them is altered.

command -v awk >/dev/null || { echo "bulkhead.sh: this connector needs awk, which is not here; install one in its image" >&2; exit 127; }
bulkhead_awk="$(dirname "$0")/json.awk"

# json_get POINTER...: a JSON document on stdin -> the text of each value on a line of its own; an empty line where there is none.
json_get() { LC_ALL=C awk -v mode=get -f "$bulkhead_awk" "$@"; }

# json_decode: a JSON string on stdin -> its text. json_encode: any text on stdin -> a JSON string,
# without the text's last line break, as `$(…)` would have it.
json_decode() { LC_ALL=C awk -v mode=decode -f "$bulkhead_awk"; }
json_encode() { LC_ALL=C awk -v mode=encode -f "$bulkhead_awk"; }
