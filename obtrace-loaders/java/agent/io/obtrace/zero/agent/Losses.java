package io.obtrace.zero.agent;

import java.util.concurrent.atomic.AtomicLongArray;

/** Counts what was dropped, by signal and reason. */
final class Losses {
  /** Why an item was dropped. */
  enum Reason {
    QUEUE_FULL("queue_full"),
    SEND_FAILED("send_failed"),
    REJECTED("rejected");

    final String text;

    Reason(String text) {
      this.text = text;
    }
  }

  private static final Reason[] REASONS = Reason.values();

  private final AtomicLongArray counts = new AtomicLongArray(Signal.values().length * REASONS.length);

  void count(Signal signal, Reason reason, int items) {
    counts.addAndGet(signal.ordinal() * REASONS.length + reason.ordinal(), items);
    Debug.say(signal.text + " dropped: " + reason.text);
  }

  long of(Signal signal, Reason reason) {
    return counts.get(signal.ordinal() * REASONS.length + reason.ordinal());
  }
}
