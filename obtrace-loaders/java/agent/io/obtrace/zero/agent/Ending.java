package io.obtrace.zero.agent;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The end of the process, seen alike by all that must send something before it: two seconds in all. */
final class Ending {
  private static final long MOST_NANOS = TimeUnit.MILLISECONDS.toNanos(1_900);
  private static final long LATE_MILLIS = 500;

  private final List<Runnable> told = new ArrayList<>();
  private boolean begun;
  private long deadline;

  /** Has something called when the end begins: at most one a signal. */
  synchronized void whenBegun(Runnable action) {
    told.add(action);
  }

  /** Says that the process ends. Only the first call counts. */
  void begin() {
    List<Runnable> actions;
    synchronized (this) {
      if (begun) {
        return;
      }
      begun = true;
      deadline = System.nanoTime() + MOST_NANOS;
      notifyAll();
      actions = new ArrayList<>(told);
    }
    actions.forEach(Runnable::run);
  }

  synchronized boolean hasBegun() {
    return begun;
  }

  /** Milliseconds until the process shall be gone; 0 if they are over. */
  synchronized long remaining() {
    return Math.max(0, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()));
  }

  /** How long a request may take: {@code usual}, but less at the end; what comes even later has a moment. */
  synchronized long bounded(long usual) {
    return begun ? Math.max(LATE_MILLIS, Math.min(usual, remaining())) : usual;
  }

  /** Sleeps so many milliseconds, or until the end begins. */
  synchronized void sleep(long millis) throws InterruptedException {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    for (long left = millis; left > 0 && !begun; left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime())) {
      wait(left);
    }
  }
}
