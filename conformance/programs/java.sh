# platforms: trap
# minutes: 4
set -e
cat > T.java <<'J'
import java.nio.*; import java.nio.channels.*; import java.nio.file.*; import java.util.*; import java.util.concurrent.*; import java.util.stream.*;
public class T { public static void main(String[] a) throws Exception {
  ExecutorService e = Executors.newFixedThreadPool(8); List<Future<Long>> f = new ArrayList<>();
  for (int i = 0; i < 20; i++) { final int n = i; f.add(e.submit(() -> LongStream.range(0, n * 10000L).sum())); }
  long s = 0; for (Future<Long> x : f) s += x.get(); System.out.println(s); e.shutdown();
  List<byte[]> keep = new ArrayList<>(); for (int i = 0; i < 4000; i++) { byte[] b = new byte[100000]; if (i % 100 == 0) keep.add(b); } System.out.println(keep.size());
  Path p = Files.createTempFile(Path.of("."), "t", "x"); try (FileChannel c = FileChannel.open(p, StandardOpenOption.WRITE, StandardOpenOption.READ)) {
    c.write(ByteBuffer.wrap("hello nio".getBytes())); MappedByteBuffer m = c.map(FileChannel.MapMode.READ_WRITE, 0, 4096); m.put(100, (byte) 7); m.force(); System.out.println(c.size()); }
  Process pr = new ProcessBuilder("sh", "-c", "echo sub; exit 3").start(); System.out.println(new String(pr.getInputStream().readAllBytes()).trim() + " " + pr.waitFor());
  Object lock = new Object(); Thread t = new Thread(() -> { synchronized (lock) { lock.notify(); } }); synchronized (lock) { t.start(); lock.wait(); } t.join();
  try { Object[] o = null; System.out.println(o.length); } catch (NullPointerException x) { System.out.println("npe"); }
  try { deep(0); } catch (StackOverflowError x) { System.out.println("deep"); }
  System.out.println(Runtime.getRuntime().maxMemory() <= 70L << 20);
} static int deep(int n) { return deep(n + 1) + 1; } }
J
javac T.java; java -Xmx64m T; java -Xmx64m -XX:+UseSerialGC T | tail -1
