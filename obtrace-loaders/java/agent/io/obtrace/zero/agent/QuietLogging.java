package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.bootstrap.InternalLogger;
import io.opentelemetry.javaagent.tooling.LoggingCustomizer;

/** What the agent logs about itself: nothing, or its warnings where {@code OBTRACE_DEBUG} asks for them. */
public final class QuietLogging implements LoggingCustomizer {
  @Override
  public String name() {
    return "obtrace";
  }

  @Override
  public void init() {
    InternalLogger.initialize(QuietLogger::new);
  }

  @Override
  public void onStartupSuccess() {
    Debug.say("started, version " + Settings.VERSION);
  }

  @Override
  public void onStartupFailure(Throwable failure) {
    Debug.say("the agent did not start: " + failure);
  }

  private static final class QuietLogger implements InternalLogger {
    private final String name;

    QuietLogger(String name) {
      this.name = name;
    }

    @Override
    public boolean isLoggable(Level level) {
      return Debug.isOn() && (level == Level.ERROR || level == Level.WARN);
    }

    @Override
    public void log(Level level, String message, Throwable error) {
      if (isLoggable(level)) {
        Debug.say(name + ": " + message + (error == null ? "" : ": " + error));
      }
    }

    @Override
    public String name() {
      return name;
    }
  }
}
