// Threads, an executor, monitors, sockets, null pointers found by faults, and the collector.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

public class Threads {
  static int counter;
  static Object nothing;

  static synchronized void count() {
    counter++;
  }

  static void compute(ExecutorService pool) throws Exception {
    AtomicLong sum = new AtomicLong();
    List<Future<?>> all = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      final int n = i;
      all.add(pool.submit(() -> {
        Thread.sleep(1);
        count();
        return sum.addAndGet(n);
      }));
    }
    for (Future<?> one : all) {
      one.get();
    }
    System.out.println("sum " + sum + ", counter " + counter);
  }

  // The virtual machine finds some of these by SIGSEGV.
  static void fault() {
    int caught = 0;
    for (int i = 0; i < 20000; i++) {
      try {
        nothing.hashCode();
      } catch (NullPointerException expected) {
        caught++;
      }
    }
    System.out.println("caught " + caught);
  }

  static void collect() {
    byte[][] kept = new byte[64][];
    for (int i = 0; i < 4000; i++) {
      kept[i % kept.length] = new byte[100000];
    }
    System.gc();
    System.out.println("kept " + kept[0].length);
  }

  static void talk(ExecutorService pool) throws Exception {
    InetAddress here = InetAddress.getLoopbackAddress();
    try (ServerSocket server = new ServerSocket(0, 50, here)) {
      Future<String> served = pool.submit(() -> {
        try (Socket client = server.accept()) {
          return new BufferedReader(new InputStreamReader(client.getInputStream())).readLine();
        }
      });
      try (Socket client = new Socket(here, server.getLocalPort())) {
        client.getOutputStream().write("over a socket\n".getBytes());
      }
      System.out.println(served.get());
    }
  }

  static void interrupt() throws Exception {
    Thread sleeper = new Thread(() -> {
      try {
        Thread.sleep(1000000);
      } catch (InterruptedException expected) {
        System.out.println("interrupted");
      }
    });
    sleeper.start();
    while (sleeper.getState() != Thread.State.TIMED_WAITING) {
      Thread.yield();
    }
    sleeper.interrupt();
    sleeper.join();
  }

  public static void main(String[] arguments) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(8);
    compute(pool);
    fault();
    collect();
    talk(pool);
    interrupt();
    pool.shutdown();
    System.out.println(pool.awaitTermination(60, TimeUnit.SECONDS));
  }
}
