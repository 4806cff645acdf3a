package io.obtrace.zero.agent;

import java.io.IOException;

/** Sends batches of one signal, one at a time: tries again where that may help, counts what is lost. */
final class Delivery {
  /** An item of a batch is a span, a log record, or a data point. */
  static final int LARGEST_BATCH = 500;

  private static final long TIMEOUT_MILLIS = 5_000;
  private static final long[] PAUSES_MILLIS = {2_000, 4_000};
  private static final long LONGEST_RETRY_AFTER_SECONDS = 30;

  private final Signal signal;
  private final Http http;
  private final Losses losses;
  private final Ending ending;

  Delivery(Signal signal, Http http, Losses losses, Ending ending) {
    this.signal = signal;
    this.http = http;
    this.losses = losses;
    this.ending = ending;
  }

  /** Sends a body that holds so many items. */
  void send(byte[] body, int items) throws InterruptedException {
    for (int attempt = 0; ; attempt++) {
      boolean last = attempt == PAUSES_MILLIS.length || ending.hasBegun();
      long pause = last ? 0 : PAUSES_MILLIS[attempt];
      try {
        Http.Answer answer = http.post(body, ending.bounded(TIMEOUT_MILLIS));
        if (answer.status / 100 == 2) {
          return;
        }
        Debug.say(signal.text + ": status " + answer.status);
        if (answer.status != 429 && (answer.status < 502 || answer.status > 504)) {
          losses.count(signal, Losses.Reason.REJECTED, items);
          return;
        }
        if (answer.retryAfterSeconds >= 0 && answer.retryAfterSeconds <= LONGEST_RETRY_AFTER_SECONDS) {
          pause = 1000 * answer.retryAfterSeconds;
        }
      } catch (IOException failed) {
        Debug.say(signal.text + ": " + failed);
      }
      if (last) {
        losses.count(signal, Losses.Reason.SEND_FAILED, items);
        return;
      }
      ending.sleep(pause);
    }
  }
}
