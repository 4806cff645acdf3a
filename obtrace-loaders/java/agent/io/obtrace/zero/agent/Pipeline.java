package io.obtrace.zero.agent;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The bounded queue of a signal's items, and the thread that sends them in batches. */
final class Pipeline<T> {
  /** Turns a batch into the body of a request. */
  interface Encoder<T> {
    void write(List<T> batch, ByteArrayOutputStream out) throws IOException;
  }

  private static final int CAPACITY = 5_000;
  private static final long DELAY_MILLIS = 2_000;

  private final Signal signal;
  private final Encoder<T> encoder;
  private final Delivery delivery;
  private final Losses losses;
  private final Ending ending;
  private final ArrayDeque<T> queue = new ArrayDeque<>();
  private long firstQueued;
  private boolean sending;

  Pipeline(Signal signal, Encoder<T> encoder, Delivery delivery, Losses losses, Ending ending) {
    this.signal = signal;
    this.encoder = encoder;
    this.delivery = delivery;
    this.losses = losses;
    this.ending = ending;
    // All signals send at the end, not one after the other as the SDK ends them.
    ending.whenBegun(this::wake);
    Worker.start(signal, this::work);
  }

  /** Queues an item; drops it, counted, if the queue is full. Never waits for the network. */
  void offer(T item) {
    synchronized (this) {
      int size = queue.size();
      if (size < CAPACITY) {
        queue.add(item);
        if (size == 0) {
          firstQueued = System.nanoTime();
        }
        if (size == 0 || size + 1 == Delivery.LARGEST_BATCH) {
          notifyAll();
        }
        return;
      }
    }
    losses.count(signal, Losses.Reason.QUEUE_FULL, 1);
  }

  /** Sends what is queued, and waits for that as long as the end of the process may take. Later items go at once. */
  void end() {
    ending.begin();
    synchronized (this) {
      try {
        for (long left = ending.remaining(); left > 0 && (sending || !queue.isEmpty()); left = ending.remaining()) {
          wait(left);
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private synchronized void wake() {
    notifyAll();
  }

  private void work() throws InterruptedException {
    while (true) {
      List<T> batch = take();
      try {
        ByteArrayOutputStream body = new ByteArrayOutputStream(512 * batch.size());
        encoder.write(batch, body);
        delivery.send(body.toByteArray(), batch.size());
      } catch (IOException | RuntimeException | Error failed) {
        Debug.say(signal.text + ": " + failed);
        losses.count(signal, Losses.Reason.SEND_FAILED, batch.size());
      }
    }
  }

  private synchronized List<T> take() throws InterruptedException {
    sending = false;
    notifyAll();
    while (queue.isEmpty()) {
      wait();
    }
    long due = firstQueued + TimeUnit.MILLISECONDS.toNanos(DELAY_MILLIS);
    for (long left = left(due); left > 0 && queue.size() < Delivery.LARGEST_BATCH && !ending.hasBegun(); left = left(due)) {
      wait(left);
    }
    List<T> batch = new ArrayList<>(Math.min(queue.size(), Delivery.LARGEST_BATCH));
    while (batch.size() < Delivery.LARGEST_BATCH && !queue.isEmpty()) {
      batch.add(queue.poll());
    }
    sending = true;
    return batch;
  }

  private static long left(long due) {
    return TimeUnit.NANOSECONDS.toMillis(due - System.nanoTime() + 999_999);
  }
}
