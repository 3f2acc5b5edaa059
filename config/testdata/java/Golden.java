// Writes what java.util.Properties reads in each file given: a JSON object
// from file name to its keys and values, or to null for a file that Java
// refuses. Files are read as UTF-8, as ours are.
//
//   java Golden.java cases/*.properties > golden.json
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.TreeMap;

public class Golden {
  public static void main(String[] files) throws Exception {
    StringBuilder out = new StringBuilder("{");
    for (int i = 0; i < files.length; i++) {
      Path file = Path.of(files[i]);
      out.append(i == 0 ? "\n" : ",\n").append(quote(file.getFileName().toString())).append(": ");
      Properties p = new Properties();
      try (var r = new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8)) {
        p.load(r);
      } catch (IllegalArgumentException e) {
        out.append("null");
        continue;
      }
      out.append("{");
      String comma = "";
      for (var e : new TreeMap<Object, Object>(p).entrySet()) {
        out.append(comma).append("\n  ").append(quote((String) e.getKey())).append(": ").append(quote((String) e.getValue()));
        comma = ",";
      }
      out.append("}");
    }
    System.out.println(out.append("\n}"));
  }

  static String quote(String s) {
    StringBuilder b = new StringBuilder("\"");
    for (char c : s.toCharArray()) {
      if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
        b.append(String.format("\\u%04x", (int) c));
      } else {
        b.append(c);
      }
    }
    return b.append('"').toString();
  }
}
