using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Text;

namespace Obtrace.Zero
{
    /// <summary>What this process says of itself: the contract, section 4.</summary>
    internal static class Resource
    {
        public const string Version = "0.1.0";

        public static Attributes Read(Func<string, string> variable)
        {
            var values = new Dictionary<string, string>();
            Given(variable("OTEL_RESOURCE_ATTRIBUTES"), values);
            Set(values, "service.name", FirstOf(variable("OBTRACE_SERVICE_NAME"), variable("OTEL_SERVICE_NAME")));
            if (!values.ContainsKey("service.name"))
            {
                values["service.name"] = "unknown_service:" + Executable();
            }
            Set(values, "deployment.environment.name", variable("OBTRACE_ENVIRONMENT"));
            Set(values, "k8s.pod.name", variable("OBTRACE_POD_NAME"));
            Set(values, "k8s.namespace.name", variable("OBTRACE_POD_NAMESPACE"));
            Set(values, "k8s.node.name", variable("OBTRACE_NODE_NAME"));
            values["service.instance.id"] = Guid.NewGuid().ToString();
            values["host.name"] = Environment.MachineName;
            values["process.runtime.name"] = ".NET";
            values["process.runtime.version"] = Environment.Version.ToString();
            values["telemetry.sdk.language"] = "dotnet";
            values["telemetry.sdk.name"] = "obtrace";
            values["telemetry.sdk.version"] = Version;
            values["telemetry.distro.name"] = "obtrace-zero";
            values["telemetry.distro.version"] = Version;
            var attributes = new Attributes();
            foreach (var pair in values)
            {
                attributes.Add(pair.Key, pair.Value);
            }
            using (var self = Process.GetCurrentProcess())
            {
                attributes.Add("process.pid", self.Id);
            }
            return attributes;
        }

        private static void Set(Dictionary<string, string> values, string key, string value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                values[key] = value;
            }
        }

        private static string FirstOf(string one, string other)
        {
            return string.IsNullOrEmpty(one) ? other : one;
        }

        private static string Executable()
        {
            string[] words = Environment.GetCommandLineArgs();
            string name = words.Length == 0 ? "" : System.IO.Path.GetFileNameWithoutExtension(words[0]);
            return name.Length == 0 ? "dotnet" : name;
        }

        /// <summary>`k=v,k=v`, values percent-encoded (UTF-8); a pair that cannot be read is left out.</summary>
        private static void Given(string text, Dictionary<string, string> values)
        {
            foreach (string pair in (text ?? "").Split(','))
            {
                int equals = pair.IndexOf('=');
                string value = equals > 0 ? Decoded(pair.Substring(equals + 1).Trim()) : null;
                string key = equals > 0 ? pair.Substring(0, equals).Trim() : "";
                if (value != null && key.Length > 0 && values.Count < Attributes.Most - 20)
                {
                    values[key] = value;
                }
            }
        }

        private static string Decoded(string text)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            var plain = new List<byte>(bytes.Length);
            for (int i = 0; i < bytes.Length; i++)
            {
                if (bytes[i] != '%')
                {
                    plain.Add(bytes[i]);
                    continue;
                }
                int high = i + 2 < bytes.Length ? Digit(bytes[i + 1]) : -1;
                int low = i + 2 < bytes.Length ? Digit(bytes[i + 2]) : -1;
                if (high < 0 || low < 0)
                {
                    return null;
                }
                plain.Add((byte)(high * 16 + low));
                i += 2;
            }
            return Encoding.UTF8.GetString(plain.ToArray());
        }

        private static int Digit(byte letter)
        {
            return letter >= '0' && letter <= '9' ? letter - '0'
                : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
        }
    }
}
