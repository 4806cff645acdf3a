using System;
using System.Collections.Generic;
using System.Globalization;

namespace Obtrace.Zero
{
    /// <summary>The variables of the contract, section 3, read once.</summary>
    internal sealed class Settings
    {
        private static readonly string[] KindNames = { "internal", "server", "client", "producer", "consumer" };

        /// <summary>Base of the endpoints; null where it is missing or no http(s) URL.</summary>
        public Uri Ingest;
        public string ApiKey;
        public double Ratio = 1;
        public bool Traces = true, Logs = true, Metrics = true;
        public bool Disabled;
        public int MetricInterval = 60;
        /// <summary>By OTLP's number of the kind (1 internal ... 5 consumer): is it ours to report?</summary>
        public readonly bool[] Kinds = { false, true, true, true, true, true };

        public static Settings Read(Func<string, string> variable)
        {
            var settings = new Settings
            {
                Ingest = Url(variable("OBTRACE_INGEST_URL")),
                ApiKey = HeaderValue(variable("OBTRACE_API_KEY")),
                Ratio = ReadRatio(variable("OBTRACE_TRACE_SAMPLE_RATIO")),
                Disabled = IsOn(variable("OBTRACE_DISABLED")),
            };
            int seconds;
            if (int.TryParse(variable("OBTRACE_METRIC_INTERVAL"), NumberStyles.Integer, CultureInfo.InvariantCulture, out seconds) && seconds > 0)
            {
                settings.MetricInterval = Math.Min(seconds, 86400);
            }
            var signals = Words(variable("OBTRACE_SIGNALS"), new[] { "traces", "logs", "metrics" });
            if (signals != null)
            {
                settings.Traces = signals.Contains("traces");
                settings.Logs = signals.Contains("logs");
                settings.Metrics = signals.Contains("metrics");
            }
            var traced = Words(variable("OBTRACE_TRACED"), KindNames);
            for (int kind = 1; traced != null && kind < settings.Kinds.Length; kind++)
            {
                settings.Kinds[kind] = traced.Contains(KindNames[kind - 1]);
            }
            return settings;
        }

        /// <summary>A switch is on unless it is unset, empty, `0` or `false`.</summary>
        public static bool IsOn(string value)
        {
            return !string.IsNullOrEmpty(value) && value != "0" && !value.Equals("false", StringComparison.OrdinalIgnoreCase);
        }

        public static double ReadRatio(string value)
        {
            double ratio;
            if (!double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out ratio) || double.IsNaN(ratio))
            {
                return 1;
            }
            return Math.Max(0, Math.Min(1, ratio));
        }

        private static Uri Url(string value)
        {
            Uri url;
            bool good = Uri.TryCreate((value ?? "").Trim(), UriKind.Absolute, out url)
                && (url.Scheme == "http" || url.Scheme == "https") && url.Host.Length > 0;
            return good ? url : null;
        }

        /// <summary>A key that would break the header (line ends, other controls) is as good as none.</summary>
        private static string HeaderValue(string value)
        {
            value = (value ?? "").Trim();
            foreach (char c in value)
            {
                if (c < ' ' || c == 127)
                {
                    return null;
                }
            }
            return value.Length == 0 ? null : value;
        }

        /// <summary>The known words of a comma-separated list; null (unreadable) where there is none.</summary>
        private static HashSet<string> Words(string value, string[] known)
        {
            var words = new HashSet<string>();
            foreach (string word in (value ?? "").Split(','))
            {
                string plain = word.Trim().ToLowerInvariant();
                if (Array.IndexOf(known, plain) >= 0)
                {
                    words.Add(plain);
                }
            }
            return words.Count == 0 ? null : words;
        }
    }
}
