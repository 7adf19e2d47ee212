# A small JSON reader and writer for connectors in POSIX shell. Works with mawk, gawk and busybox awk; run it with LC_ALL=C.
#
#   awk -v mode=get -f json.awk /input/name /input/list/0   JSON on stdin -> one line for each pointer (RFC 6901): the value's own text,
#                                                     or an empty line where there is none. Of members with one name the last counts.
#   awk -v mode=decode -f json.awk    a JSON string on stdin -> its text, without a line break at the end
#   awk -v mode=encode -f json.awk    any text on stdin -> a JSON string, without the text's last line break
#
# Time is linear in the input: it is split at its quotes, and every value is cut out once, by position. The input must be valid JSON
# (the proxy checked it).

BEGIN { if (mode == "get") readPointers() }

mode == "encode" { printf "%s%s", NR == 1 ? "\"" : "\\n", encoded($0); next }
{ line[NR] = $0 }

# A line break between tokens is as good as a space; within a JSON string there is none.
END {
  if (mode == "get") { text = joined(line, NR, " "); scan(); for (i = 1; i <= wantedCount; i++) print value[wanted[i]] }
  else if (mode == "decode") printf "%s", decoded(joined(line, NR, " "))
  else printf "%s", NR == 0 ? "\"\"" : "\""
}

# Two by two, until one is left: to append them one by one would copy all that is there each time.
function joined(part, count, separator,    i, kept) {
  for (; count > 1; count = kept) {
    kept = 0
    for (i = 1; i <= count; i += 2) part[++kept] = i < count ? part[i] separator part[i + 1] : part[i]
  }
  return part[1]
}

function readPointers(    i, count, step, path, j) {
  for (i = 1; i < ARGC; i++) {
    wanted[++wantedCount] = ARGV[i]
    isWanted[ARGV[i]] = 1
    # Names of all containers on the way, to know which keys are worth decoding.
    count = split(ARGV[i], step, "/")
    path = ""
    leads[path] = 1
    for (j = 2; j <= count; j++) { path = path "/" step[j]; leads[path] = 1 }
    ARGV[i] = ""
  }
}

# depth: how many containers are open; kind, path, key, place: what is known of each; begun: where each open value begins.
function scan(    count, i, at, start, end) {
  count = split(text, piece, "\"")
  at = 1
  depth = 0
  path[0] = ""
  for (i = 1; i <= count; i++) {
    between(piece[i], at)
    at += length(piece[i])
    if (i == count) break
    start = at
    end = at
    do { i++; end += 1 + length(piece[i]) } while (i < count && endsEscaped(piece[i]))
    stringAt(start, end)
    at = end + 1
  }
}

# Whether the quote after this piece is escaped: an odd number of backslashes stands before it.
function endsEscaped(s,    k, odd) {
  odd = 0
  for (k = length(s); k > 0 && substr(s, k, 1) == "\\"; k--) odd = !odd
  return odd
}

function stringAt(start, end) {
  if (kind[depth] == "{" && awaitsKey[depth]) {
    awaitsKey[depth] = 0
    key[depth] = (path[depth] in leads) ? escaped(decoded(substr(text, start, end - start + 1))) : ""
    return
  }
  valueBegins(start)
  valueEnds(end)
}

# The text between two strings: brackets, commas, colons, numbers, words.
function between(s, at,    k, c, length_, begin) {
  if (s == "," && kind[depth] == "{") { awaitsKey[depth] = 1; return }
  if (s == ":") return
  length_ = length(s)
  begin = 0
  for (k = 1; k <= length_; k++) {
    c = substr(s, k, 1)
    if (index("{}[],: \t\r", c) == 0) {
      if (!begin) { begin = at + k - 1; valueBegins(begin) }
      continue
    }
    if (begin) { valueEnds(at + k - 2); begin = 0 }
    if (c == "{" || c == "[") opens(c, at + k - 1)
    else if (c == "}" || c == "]") { depth--; valueEnds(at + k - 1) }
    else if (c == ",") { awaitsKey[depth] = 1; place[depth]++ }
  }
  if (begin) valueEnds(at + length_ - 1)
}

function opens(bracket, at) {
  valueBegins(at)
  depth++
  kind[depth] = bracket
  path[depth] = current[depth - 1]
  awaitsKey[depth] = 1
  place[depth] = 0
}

function valueBegins(at,    p, i) {
  if (depth == 0) p = ""
  else if (!(path[depth] in leads)) p = "-"
  else p = path[depth] "/" (kind[depth] == "{" ? key[depth] : place[depth])
  current[depth] = p
  begun[depth] = at
  if (!(p in leads)) return
  # A second member of one name replaces the first one, with all that was within it.
  for (i = 1; i <= wantedCount; i++) if (index(wanted[i] "/", p "/") == 1) value[wanted[i]] = ""
}

function valueEnds(at) {
  if (current[depth] in isWanted) value[current[depth]] = substr(text, begun[depth], at - begun[depth] + 1)
}

# A name as it stands in a pointer.
function escaped(name) {
  gsub("~", "~0", name)
  gsub("/", "~1", name)
  return name
}

function decoded(json,    count, part, i, c) {
  json = substr(json, 2, length(json) - 2)
  if (index(json, "\\") == 0) return json
  count = split(json, part, "\\")
  for (i = 2; i <= count; i++) {
    c = substr(part[i], 1, 1)
    # Two backslashes in a row: an empty part, and the next one is plain text.
    if (c == "") { part[i] = "\\"; i++ }
    else if (c == "u") {
      code = hex(substr(part[i], 2, 4))
      if (code >= 55296 && code < 56320 && part[i] ~ /^u....$/ && part[i + 1] ~ /^u[dD][c-fC-F]/) {
        part[i] = ""
        i++
        code = 65536 + (code - 55296) * 1024 + hex(substr(part[i], 2, 4)) - 56320
      }
      part[i] = utf8(code) substr(part[i], 6)
    } else part[i] = (c == "n" ? "\n" : c == "t" ? "\t" : c == "r" ? "\r" : c == "b" ? "\b" : c == "f" ? "\f" : c) substr(part[i], 2)
  }
  return joined(part, count, "")
}

function hex(digits,    i, n) {
  n = 0
  for (i = 1; i <= 4; i++) n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
  return n
}

# A lone surrogate has no UTF-8: it becomes U+FFFD. U+0000 cannot be in a shell's text: it becomes U+FFFD too.
function utf8(code) {
  if (code == 0 || (code >= 55296 && code < 57344)) code = 65533
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}

# One line: each `gsub` goes over it once.
function encoded(s,    i, c) {
  gsub(/\\/, "\\\\\\\\", s)
  gsub(/"/, "\\\"", s)
  gsub(/\t/, "\\t", s)
  gsub(/\r/, "\\r", s)
  if (s !~ /[\001-\037\177]/) return s
  for (i = 1; i < 128; i = i == 31 ? 127 : i + 1) {
    c = sprintf("%c", i)
    if (index(s, c)) gsub(c, sprintf("\\u%04x", i), s)
  }
  return s
}
