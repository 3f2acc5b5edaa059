import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import java.util.Map;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.NameCallback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.sasl.AuthorizeCallback;
import javax.security.sasl.RealmCallback;
import javax.security.sasl.Sasl;
import javax.security.sasl.SaslServer;

// The JDK's own DIGEST-MD5, set up as Hadoop's servers do, driven by lines of
// hex on standard input. It is run to record the transcripts that lie beside it
// (go test -run TestJavaTranscripts -record).
public class DigestServer {
  public static void main(String[] args) throws Exception {
    String qop = args[0], password = args[1];
    SaslServer s = Sasl.createSaslServer("DIGEST-MD5", "", "default",
        Map.of(Sasl.QOP, qop, Sasl.SERVER_AUTH, "true"),
        callbacks -> {
          for (Callback c : callbacks) {
            if (c instanceof PasswordCallback p) p.setPassword(password.toCharArray());
            else if (c instanceof NameCallback n) n.setName(n.getDefaultName());
            else if (c instanceof RealmCallback r) r.setText(r.getDefaultText());
            else if (c instanceof AuthorizeCallback a) {
              a.setAuthorized(true);
              a.setAuthorizedID(a.getAuthorizationID());
            }
          }
        });
    HexFormat hex = HexFormat.of();
    System.out.println(hex.formatHex(s.evaluateResponse(new byte[0])));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split(" ", -1);
      byte[] b = hex.parseHex(parts[1]);
      byte[] out = switch (parts[0]) {
        case "respond" -> s.evaluateResponse(b);
        case "wrap" -> s.wrap(b, 0, b.length);
        case "unwrap" -> s.unwrap(b, 0, b.length);
        default -> throw new IllegalArgumentException(line);
      };
      System.out.println(hex.formatHex(out));
    }
  }
}
