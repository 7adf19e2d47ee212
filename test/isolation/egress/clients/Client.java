import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/** The JDK's own client as it comes: no selector of proxies is named, so the system properties decide. */
public class Client {
  public static void main(String[] urls) {
    HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(20)).build();
    for (String url : urls) {
      long began = System.nanoTime();
      String told;
      try {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20)).build();
        HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
        told = "\"ok\":true,\"status\":" + answer.statusCode() + ",\"body\":" + quoted(answer.body());
      } catch (Exception error) {
        told = "\"ok\":false,\"error\":" + quoted(error + " / " + error.getCause());
      }
      System.out.println("{\"target\":" + quoted(url) + "," + told + ",\"ms\":" + (System.nanoTime() - began) / 1_000_000 + "}");
    }
    System.exit(0);
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
  }
}
