using System;
using System.IO;
using System.Runtime.InteropServices;

namespace Obtrace.Zero
{
    /// <summary>Reasons to do nothing: the contract, section 2.</summary>
    internal static class Aside
    {
        private const string Mark = "obtrace.zero.loaded";

        /// <summary>Programs of the SDK. Their names are those of the assembly that is run.</summary>
        private static readonly string[] Tools =
        {
            "dotnet", "MSBuild", "NuGet", "VBCSCompiler", "csc", "vbc", "fsc", "fsi", "csi", "pwsh", "vstest.console", "testhost",
            "datacollector", "paket",
        };

        private static readonly string[] Vendors =
        {
            "datadog", "dd-trace", "newrelic", "new_relic", "opentelemetry", "elasticapm", "elastic_apm", "elastic.apm", "dynatrace", "oneagent",
            "appdynamics", "instana", "skyapm", "skywalking",
        };

        /// <summary>The same by the class of their profilers, where the path does not tell.</summary>
        private static readonly string[] Profilers =
        {
            "846F5F1C-F9AE-4B07-969E-05C26BC060D8", "36032161-FFC0-4B61-B559-F6C5D41BAE5A", "918728DD-259F-4A6A-AC2B-B85E1B658318",
            "FA65FE15-F085-4681-9B20-95E04F6C03CC", "B7038F67-52FC-4DA2-AB02-969B3C1EDA03", "57E1AA68-2229-41AA-9931-A6E93BBC64D8",
            "CF0D821E-299B-5307-A3D8-B283C03916DD",
        };

        /// <summary>SDKs among the application's assemblies. `OpenTelemetry.Api` is no reason.</summary>
        private static readonly string[] Sdks =
        {
            "OpenTelemetry", "Datadog.Trace", "Elastic.Apm", "SkyApm.Core", "Instana.ManagedTracing.Sdk",
        };

        public static string Reason(Settings settings, Func<string, string> variable)
        {
            if (settings.Disabled)
            {
                return "OBTRACE_DISABLED is set";
            }
            if (settings.Ingest == null)
            {
                return "OBTRACE_INGEST_URL is missing or no http(s) URL";
            }
            Version version = Environment.Version;
            if (version.Major < 3 || version.Major == 3 && version.Minor < 1)
            {
                return "the runtime is older than 3.1";
            }
            return Tool() ?? Vendor(variable) ?? Sdk() ?? Tls(settings, version, variable) ?? Second();
        }

        /// <summary>On Linux the runtime ends the whole process where TLS is wanted and no OpenSSL that it knows can be loaded. An application
        /// that does without TLS must not die of ours.</summary>
        private static string Tls(Settings settings, Version version, Func<string, string> variable)
        {
            if (settings.Ingest.Scheme != "https" || !RuntimeInformation.IsOSPlatform(OSPlatform.Linux))
            {
                return null;
            }
            string chosen = variable("CLR_OPENSSL_VERSION_OVERRIDE");
            string[] known = version.Major >= 6 ? new[] { chosen, "3", "1.1", "1.0.2", "1.0.0", "10" } : new[] { chosen, "1.1", "1.0.2", "1.0.0", "10" };
            foreach (string it in known)
            {
                IntPtr library;
                if (!string.IsNullOrEmpty(it) && NativeLibrary.TryLoad("libssl.so." + it, out library))
                {
                    return null;
                }
            }
            return "no OpenSSL for https";
        }

        private static string Tool()
        {
            string[] words = Environment.GetCommandLineArgs();
            string path = words.Length == 0 ? "" : words[0].Replace('\\', '/'), name = Path.GetFileNameWithoutExtension(path);
            // Tools are installed into `.store/NAME/VERSION/NAME/VERSION/tools/...`; `dotnet-shop.dll` may be anybody's application.
            bool installed = name.StartsWith("dotnet-", StringComparison.OrdinalIgnoreCase) && path.Contains("/tools/");
            bool tool = installed || name.StartsWith("NuGet.", StringComparison.OrdinalIgnoreCase)
                || Array.Exists(Tools, it => it.Equals(name, StringComparison.OrdinalIgnoreCase));
            return tool ? "this is a tool: " + name : null;
        }

        private static string Vendor(Func<string, string> variable)
        {
            if (variable("CORECLR_ENABLE_PROFILING") == "1")
            {
                foreach (string name in new[] { "CORECLR_PROFILER", "CORECLR_PROFILER_PATH", "CORECLR_PROFILER_PATH_64", "CORECLR_PROFILER_PATH_32" })
                {
                    string value = variable(name) ?? "";
                    if (Names(value, Vendors) || Names(value, Profilers))
                    {
                        return "another agent is there: " + name;
                    }
                }
            }
            foreach (string name in new[] { "DOTNET_STARTUP_HOOKS", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "DOTNET_ADDITIONAL_DEPS", "LD_PRELOAD" })
            {
                if (Names(variable(name) ?? "", Vendors))
                {
                    return "another agent is there: " + name;
                }
            }
            return null;
        }

        private static bool Names(string value, string[] words)
        {
            return Array.Exists(words, it => value.IndexOf(it, StringComparison.OrdinalIgnoreCase) >= 0);
        }

        /// <summary>The application's assemblies as its deps.json and folder have them. What is bundled into one file, or loaded
        /// from elsewhere, is not listed: Agent sees it when it is loaded.</summary>
        private static string Sdk()
        {
            string list = AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") as string ?? "";
            foreach (string path in list.Split(Path.PathSeparator))
            {
                string name = Path.GetFileName(path);
                if (IsSdk(Path.GetFileNameWithoutExtension(name)))
                {
                    return "the application has an SDK of its own: " + name;
                }
            }
            return null;
        }

        /// <summary>By the name of an assembly, without an ending.</summary>
        public static bool IsSdk(string name)
        {
            return Array.Exists(Sdks, it => it.Equals(name, StringComparison.OrdinalIgnoreCase));
        }

        private static string Second()
        {
            if (AppContext.GetData(Mark) != null)
            {
                return "a loader of ours is at work already";
            }
            AppDomain.CurrentDomain.SetData(Mark, "yes");
            return null;
        }
    }
}
