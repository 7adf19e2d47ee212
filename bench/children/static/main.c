#define _GNU_SOURCE
/*
 * The smallest connector there can be: answers `invoke` with its input as body, without reading either. What Bulkhead itself costs is
 * measured with it, because it costs next to nothing. Relies on the layout of Bulkhead's own messages; no model for a real connector.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char *input;
static size_t input_size = 1 << 16, input_length;
static char *output;
static size_t output_size = 1 << 16, output_length;

static void *checked(void *memory) {
  if (memory == NULL) _exit(70);
  return memory;
}

static void write_all(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(1, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) _exit(0);
    bytes += written;
    length -= written;
  }
}

static void flush_output(void) {
  write_all(output, output_length);
  output_length = 0;
}

/* Small pieces are collected, so that what came in one read goes out in one write; large ones are not copied. */
static void put(const char *bytes, size_t length) {
  if (output_length + length > output_size) flush_output();
  if (length > output_size) {
    write_all(bytes, length);
    return;
  }
  memcpy(output + output_length, bytes, length);
  output_length += length;
}

static void put_text(const char *text) { put(text, strlen(text)); }

static const char *find_last(const char *start, const char *end, const char *word) {
  size_t length = strlen(word);
  for (const char *at = end - length; at >= start; at--)
    if (*at == *word && memcmp(at, word, length) == 0) return at;
  return NULL;
}

static const char *find(const char *start, const char *end, const char *word) { return memmem(start, end - start, word, strlen(word)); }

/* {"jsonrpc":"2.0","id":"…","method":"…","params":…} */
static void answer(const char *line, const char *end) {
  static const char id_key[] = "\"id\":\"", method_key[] = "\"method\":\"", input_key[] = ",\"input\":", context_key[] = ",\"context\":{";
  const char *id = find(line, end, id_key);
  const char *method = find(line, end, method_key);
  if (id == NULL || method == NULL || id > method) return; /* a notification */
  id += sizeof id_key - 1;
  method += sizeof method_key - 1;
  const char *id_end = memchr(id, '"', end - id);
  put_text("{\"jsonrpc\":\"2.0\",\"id\":\"");
  put(id, id_end - id);
  if (strncmp(method, "invoke\"", 7) == 0) {
    const char *value = find(method, end, input_key) + sizeof input_key - 1;
    const char *value_end = find_last(value, end, context_key);
    put_text("\",\"result\":{\"body\":");
    put(value, value_end - value);
    put_text("}}\n");
  } else if (strncmp(method, "initialize\"", 11) == 0) {
    put_text("\",\"result\":{\"protocol\":1,\"name\":\"static\",\"version\":\"1.0.0\",\"commands\":["
             "{\"name\":\"CombineStrings\"},{\"name\":\"Echo\"}]}}\n");
  } else {
    put_text("\",\"result\":{}}\n");
  }
}

int main(void) {
  input = checked(malloc(input_size));
  output = checked(malloc(output_size));
  for (;;) {
    if (input_length == input_size) input = checked(realloc(input, input_size *= 2));
    ssize_t got = read(0, input + input_length, input_size - input_length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    char *line = input, *from = input + input_length, *end = from + got, *feed;
    for (; (feed = memchr(from, '\n', end - from)) != NULL; line = from = feed + 1) answer(line, feed);
    flush_output();
    input_length = end - line;
    if (line != input) memmove(input, line, input_length);
  }
}
