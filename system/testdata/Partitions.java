// Writes partitions.txt: what Java and Kafka's client make of keys. Run as
//
//	java -cp kafka-clients.jar Partitions.java > partitions.txt
//
// with the jar of kafka-clients 4.1.0 from Maven Central. Columns, separated by
// tabs: kind, key (strings as UTF-16 units in hex, bytes in hex), hash, and the
// partition of 1, 3, 4, 7 and 1000.

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Random;
import org.apache.kafka.common.utils.Utils;

class Partitions {
  static final int[] COUNTS = {1, 3, 4, 7, 1000};

  public static void main(String[] args) {
    Random random = new Random(42);
    String[] strings = {
      "", "a", "b", "user-00000001", "bob", "\u4e2d\u6587", "\u00e9", "\ud83d\ude00", "a\ud83d\ude00b", "\u2028",
      "polygenelubricants", // its hash is Integer.MIN_VALUE
      "GydZG_", "DESIGNING WORKHOUSES", "\u0000", "\uffff", "{\"user\":\"bob\"}",
    };
    for (String s : strings) low("string", units(s), s);
    for (int i = 0; i < 40; i++) {
      StringBuilder b = new StringBuilder();
      for (int n = random.nextInt(24); n > 0; n--) {
        b.appendCodePoint(random.nextInt(4) == 0 ? 0x10000 + random.nextInt(0xfffff) : 0x20 + random.nextInt(0xd000));
      }
      low("string", units(b.toString()), b.toString());
    }
    for (int v : new int[] {0, 1, -1, 7, -7, Integer.MAX_VALUE, Integer.MIN_VALUE, random.nextInt(), random.nextInt()}) {
      low("integer", Integer.toString(v), v);
    }
    for (long v : new long[] {0, 1, -1, 42, -42, 1L << 32, 1L << 31, -(1L << 31), Long.MAX_VALUE, Long.MIN_VALUE, random.nextLong(), random.nextLong()}) {
      low("long", Long.toString(v), v);
    }
    for (boolean v : new boolean[] {true, false}) low("boolean", Boolean.toString(v), v);
    for (double v : new double[] {0.0, -0.0, 1.0, -1.5, 66.5, Math.PI, Double.MAX_VALUE, Double.MIN_VALUE, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
      low("double", Long.toHexString(Double.doubleToRawLongBits(v)), v);
    }
    for (float v : new float[] {0.0f, -0.0f, 1.0f, -1.5f, Float.NaN}) {
      low("float", Integer.toHexString(Float.floatToRawIntBits(v)), v);
    }
    for (String s : strings) bytes(s.getBytes(StandardCharsets.UTF_8));
    for (int n = 0; n < 20; n++) {
      byte[] b = new byte[n];
      random.nextBytes(b);
      bytes(b);
    }
  }

  // low is the choice of Samza's KafkaSystemProducer for a key object.
  static void low(String kind, String shown, Object key) {
    int hash = key.hashCode();
    StringBuilder line = new StringBuilder(kind + "\t" + shown + "\t" + hash);
    for (int n : COUNTS) line.append("\t").append((hash == Integer.MIN_VALUE ? 0 : Math.abs(hash)) % n);
    System.out.println(line);
  }

  // bytes is the choice of Kafka's default partitioner.
  static void bytes(byte[] key) {
    int hash = Utils.murmur2(key);
    StringBuilder line = new StringBuilder("bytes\t" + HexFormat.of().formatHex(key) + "\t" + hash);
    for (int n : COUNTS) line.append("\t").append(Utils.toPositive(hash) % n);
    System.out.println(line);
  }

  static String units(String s) {
    StringBuilder b = new StringBuilder();
    for (char c : s.toCharArray()) b.append(String.format("%04x", (int) c));
    return b.toString();
  }
}
