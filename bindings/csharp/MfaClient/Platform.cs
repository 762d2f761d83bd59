using System;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
#if !NET
using System.IO;
#endif

namespace MfaClient
{
    /// <summary>What this process runs on, and what the package has for it.</summary>
    internal static class Platform
    {
        internal static string WhyThereIsNoLibrary()
        {
            string carried = typeof(Platform).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
                .FirstOrDefault(fact => fact.Key == "NativeLibraries")?.Value ?? "";
            string package = carried.Length == 0
                ? "this build of MfaClient carries none"
                : "this package has " + carried.Replace(";", ", ");
            return $"The native library \"{Native.Library}\" could not be loaded: {package}; this process is {Describe()}.";
        }

        private static string Describe()
        {
            string system = RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? "win"
                : RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? "osx"
                : RuntimeInformation.IsOSPlatform(OSPlatform.Linux) ? "linux"
                : RuntimeInformation.OSDescription;
            string process = system + "-" + Architecture(RuntimeInformation.ProcessArchitecture);
            return system == "linux" && HasMusl() ? process + " with musl" : process;
        }

        private static string Architecture(Architecture architecture) => architecture switch
        {
            System.Runtime.InteropServices.Architecture.X64 => "x64",
            System.Runtime.InteropServices.Architecture.X86 => "x86",
            System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
            System.Runtime.InteropServices.Architecture.Arm => "arm",
            _ => architecture.ToString(),
        };

#if NET
        private static bool HasMusl() => RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal);
#else
        /// <summary>An older runtime does not know; musl's loader tells, where glibc's is not there.</summary>
        private static bool HasMusl() =>
            Directory.Exists("/lib") && Directory.GetFiles("/lib", "ld-musl-*").Length > 0 && !Directory.Exists("/lib64");
#endif
    }
}
