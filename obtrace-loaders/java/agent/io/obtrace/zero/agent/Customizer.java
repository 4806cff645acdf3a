package io.obtrace.zero.agent;

import io.opentelemetry.sdk.autoconfigure.spi.AutoConfigurationCustomizer;
import io.opentelemetry.sdk.autoconfigure.spi.AutoConfigurationCustomizerProvider;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Set;

/** Makes the agent's SDK ours: settings, resource, sampler, and what takes the items instead of its exporters. */
public final class Customizer implements AutoConfigurationCustomizerProvider {
  /** Counted for the whole process; {@link ProcessMetrics} reports it. */
  static final Losses LOSSES = new Losses();

  @Override
  public void customize(AutoConfigurationCustomizer sdk) {
    Settings settings = Settings.ofThisProcess();
    sdk.addPropertiesSupplier(() -> AgentProperties.defaults(settings));
    sdk.addPropertiesCustomizer(configured -> AgentProperties.ours());
    sdk.addResourceCustomizer((resource, configured) -> ResourceOfProcess.of(settings));
    sdk.addPropagatorCustomizer((propagator, configured) -> new Propagation(propagator));
    sdk.addSamplerCustomizer((sampler, configured) -> Sampler.parentBased(new RatioSampler(settings.sampleRatio())));
    try {
      receivers(sdk, settings);
    } catch (URISyntaxException unreadable) {
      Debug.say("sends nothing: OBTRACE_INGEST_URL cannot be read");
    }
  }

  private static void receivers(AutoConfigurationCustomizer sdk, Settings settings) throws URISyntaxException {
    URI url = settings.ingestUrl();
    Ending ending = new Ending();
    Set<String> signals = settings.signals();
    if (signals.contains(Signal.TRACES.text)) {
      sdk.addTracerProviderCustomizer(
          (provider, configured) ->
              provider.addSpanProcessor(
                  new Spans(settings.tracedKinds(), delivery(Signal.TRACES, url, settings, ending), LOSSES, ending)));
    }
    if (signals.contains(Signal.LOGS.text)) {
      sdk.addLoggerProviderCustomizer(
          (provider, configured) ->
              provider.addLogRecordProcessor(new Logs(delivery(Signal.LOGS, url, settings, ending), LOSSES, ending)));
    }
    if (signals.contains(Signal.METRICS.text)) {
      sdk.addMeterProviderCustomizer(
          (provider, configured) ->
              provider.registerMetricReader(
                  new Metrics(settings.metricInterval(), delivery(Signal.METRICS, url, settings, ending), LOSSES, ending),
                  instrument -> Metrics.CARDINALITY));
    }
  }

  private static Delivery delivery(Signal signal, URI url, Settings settings, Ending ending) {
    return new Delivery(signal, new Http(url, signal.path(), settings.apiKey()), LOSSES, ending);
  }

  /** Last of all, so that what others set does not come after it. */
  @Override
  public int order() {
    return Integer.MAX_VALUE;
  }
}
