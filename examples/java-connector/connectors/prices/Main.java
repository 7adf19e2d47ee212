import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A connector that speaks bulkhead/1 with nothing but the JDK: commands first, then the protocol, then JSON. */
public class Main {
  static Object addTax(Map<String, Object> input) {
    BigDecimal net = (BigDecimal) input.get("net");
    BigDecimal rate = (BigDecimal) input.get("rate_percent");
    if (net.scale() > 6 || net.precision() > 30 || rate.precision() > 10) throw new Failure("TooPrecise", 400, "At most 6 decimals.");
    BigDecimal tax = net.multiply(rate).divide(BigDecimal.valueOf(100)).setScale(2, RoundingMode.HALF_UP);
    return Json.object("tax", tax, "gross", net.add(tax).setScale(2, RoundingMode.HALF_UP), "java", Runtime.version().feature());
  }

  static Object run(String command, Map<String, Object> input) {
    if (command.equals("AddTax")) return addTax(input);
    throw new Failure("command_not_found", 404, "This connector has only AddTax.");
  }

  /** A failure that a process model can catch by its code. */
  static class Failure extends RuntimeException {
    final String code;
    final int httpStatus;

    Failure(String code, int httpStatus, String message) {
      super(message);
      this.code = code;
      this.httpStatus = httpStatus;
    }
  }

  static final int CONCURRENCY = 4;
  static PrintStream protocol;

  public static void main(String[] arguments) throws IOException {
    // stdout is the protocol's alone; whatever else prints goes to stderr, and so into the log.
    protocol = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, "UTF-8");
    System.setOut(System.err);
    ExecutorService workers = Executors.newFixedThreadPool(CONCURRENCY);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      Map<String, Object> message = Json.map(Json.parse(line));
      if (!message.containsKey("id")) continue; // cancel: too short a work to stop early
      if ("invoke".equals(message.get("method"))) workers.execute(() -> invoke(message));
      else answer(message, "result", greeting((String) message.get("method")));
    }
    workers.shutdown();
  }

  static Object greeting(String method) {
    if (!method.equals("initialize")) return Json.object(); // ping and shutdown
    return Json.object("protocol", 1, "commands", List.of(Json.object("name", "AddTax")), "concurrency", CONCURRENCY);
  }

  static void invoke(Map<String, Object> message) {
    Map<String, Object> params = Json.map(message.get("params"));
    try {
      answer(message, "result", Json.object("body", run((String) params.get("command"), Json.map(params.get("input")))));
    } catch (Failure failure) {
      Object data = Json.object("errorCode", failure.code, "httpStatus", failure.httpStatus);
      answer(message, "error", Json.object("code", -32000, "message", failure.getMessage(), "data", data));
    } catch (RuntimeException bug) {
      bug.printStackTrace();
      Object data = Json.object("errorCode", bug.getClass().getSimpleName());
      answer(message, "error", Json.object("code", -32000, "message", "The connector failed; its log has the trace.", "data", data));
    }
  }

  static synchronized void answer(Map<String, Object> message, String member, Object value) {
    protocol.print(Json.write(Json.object("jsonrpc", "2.0", "id", message.get("id"), member, value)) + "\n");
    protocol.flush();
  }

  /** JSON as Map (in order), List, String, BigDecimal (every digit is kept), Boolean and null. */
  static class Json {
    private final String text;
    private int at;

    private Json(String text) {
      this.text = text;
    }

    static Object parse(String text) {
      Json json = new Json(text);
      Object value = json.value();
      json.blanks();
      if (json.at != text.length()) throw json.fault();
      return value;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
      return (Map<String, Object>) value;
    }

    static Map<String, Object> object(Object... namesAndValues) {
      Map<String, Object> members = new LinkedHashMap<>();
      for (int i = 0; i < namesAndValues.length; i += 2) members.put((String) namesAndValues[i], namesAndValues[i + 1]);
      return members;
    }

    private Object value() {
      blanks();
      char first = peek();
      if (first == '{') return members();
      if (first == '[') return items();
      if (first == '"') return string();
      if (word("true")) return true;
      if (word("false")) return false;
      if (word("null")) return null;
      return number();
    }

    private Map<String, Object> members() {
      Map<String, Object> members = new LinkedHashMap<>();
      take('{');
      if (skip('}')) return members;
      do {
        blanks();
        String name = string();
        take(':');
        members.put(name, value());
      } while (skip(','));
      take('}');
      return members;
    }

    private List<Object> items() {
      List<Object> items = new ArrayList<>();
      take('[');
      if (skip(']')) return items;
      do items.add(value());
      while (skip(','));
      take(']');
      return items;
    }

    private String string() {
      StringBuilder string = new StringBuilder();
      take('"');
      for (char next = read(); next != '"'; next = read()) string.append(next == '\\' ? escaped() : next);
      return string.toString();
    }

    private char escaped() {
      char kind = read();
      if (kind == 'u') {
        at += 4;
        return (char) Integer.parseInt(text.substring(at - 4, at), 16);
      }
      int which = "bfnrt".indexOf(kind);
      return which < 0 ? kind : "\b\f\n\r\t".charAt(which);
    }

    private BigDecimal number() {
      int start = at;
      while (at < text.length() && "+-0123456789.eE".indexOf(text.charAt(at)) >= 0) at++;
      return new BigDecimal(text.substring(start, at));
    }

    private boolean word(String word) {
      if (!text.startsWith(word, at)) return false;
      at += word.length();
      return true;
    }

    private void blanks() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private boolean skip(char wanted) {
      blanks();
      if (peek() != wanted) return false;
      at++;
      return true;
    }

    private void take(char wanted) {
      if (!skip(wanted)) throw fault();
    }

    private char peek() {
      if (at >= text.length()) throw fault();
      return text.charAt(at);
    }

    private char read() {
      char next = peek();
      at++;
      return next;
    }

    private IllegalArgumentException fault() {
      return new IllegalArgumentException("no JSON at position " + at);
    }

    static String write(Object value) {
      StringBuilder out = new StringBuilder();
      write(value, out);
      return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
      if (value instanceof String string) quote(string, out);
      else if (value instanceof BigDecimal number) out.append(number.toPlainString());
      else if (value instanceof Map<?, ?> members) {
        String separator = "{";
        for (Map.Entry<?, ?> member : members.entrySet()) {
          quote((String) member.getKey(), out.append(separator));
          write(member.getValue(), out.append(':'));
          separator = ",";
        }
        out.append(members.isEmpty() ? "{}" : "}");
      } else if (value instanceof List<?> items) {
        String separator = "[";
        for (Object item : items) {
          write(item, out.append(separator));
          separator = ",";
        }
        out.append(items.isEmpty() ? "[]" : "]");
      } else out.append(value);
    }

    private static void quote(String string, StringBuilder out) {
      out.append('"');
      for (char each : string.toCharArray()) {
        if (each == '"' || each == '\\') out.append('\\').append(each);
        else if (each < ' ' || Character.isSurrogate(each)) out.append(String.format("\\u%04x", (int) each));
        else out.append(each);
      }
      out.append('"');
    }
  }
}
