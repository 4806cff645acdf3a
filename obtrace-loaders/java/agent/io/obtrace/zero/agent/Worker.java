package io.obtrace.zero.agent;

/** Starts the threads that send. */
final class Worker {
  /** What a thread does until the process ends. */
  interface Work {
    void run() throws InterruptedException;
  }

  /** A thread of ours. */
  private static final class Sender extends Thread {
    Sender(Runnable work, String name) {
      super(work, name);
    }
  }

  private Worker() {}

  /** Whether what happens now is our own doing. (The JDK logs handshakes, where an application asks for that.) */
  static boolean isCurrent() {
    return Thread.currentThread() instanceof Sender;
  }

  /** Starts a daemon that holds nothing of the application: no class loader, no inherited values. */
  static void start(Signal signal, Work work) {
    Thread thread =
        new Sender(
            () -> {
              try {
                work.run();
              } catch (InterruptedException interrupted) {
                Debug.say(signal.text + ": the sender was interrupted");
              }
            },
            "obtrace-" + signal.text);
    thread.setDaemon(true);
    thread.setContextClassLoader(null);
    thread.setUncaughtExceptionHandler((dead, failure) -> Debug.say(signal.text + ": " + failure));
    thread.start();
  }
}
