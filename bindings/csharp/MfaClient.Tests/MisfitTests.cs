#if NET // Without load contexts there is one "mfa" for a process.
using System;
using System.IO;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>Loaded once more, as a plugin is.</summary>
    public static class Plugin
    {
        private static HyperIdClient? client;

        public static void Start() =>
            client = new HyperIdClient(new MfaClientOptions { Log = (_, _) => GC.KeepAlive(client) });

        /// <summary>Nobody holds on to what comes of it.</summary>
        public static void Wait(string url)
        {
            client = new HyperIdClient(new MfaClientOptions { BaseUrl = url, AllowLoopbackHttp = true });
            _ = client.ConfirmAsync("sandbox-phone", new MfaRequest("Sign in?"), new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50) });
        }
    }

    /// <summary>A library that the binding was not written for.</summary>
    public static class MisfitTests
    {
        private const BindingFlags All =
            BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

        [Fact]
        public static void AnotherAbiVersionIsRefused() => Assert.Equal(
            "The native library \"mfa\" does not fit the C# binding 0.1.0: its ABI version is 77, and 1 is needed. " +
            "It is libmfa 9.8.7.",
            OpenWith(Fixture(Project.Library("misfit_abi"))).Message);

        [Fact]
        public static void SmallerStructsAreRefused() => Assert.Equal(
            "The native library \"mfa\" does not fit the C# binding 0.1.0: its mfa_error has 12 bytes, and 296 are " +
            "needed. It is libmfa 9.8.7, which is too old.",
            OpenWith(Fixture(Project.Library("misfit_size"))).Message);

        [Fact]
        public static void AnotherLibraryIsRefused() =>
            Assert.Contains("it is not libmfa, or too old", OpenWith(Fixture(Project.OwnLibrary("mfa_sandbox"))).Message, StringComparison.Ordinal);

        [Fact]
        public static void TheLibrarysNameCanBeSwitched()
        {
            var native = new World("").LoadFromAssemblyPath(Fixture("internal/MfaClient.dll")).GetType(typeof(Native).FullName!)!;
            foreach (var method in native.GetMethods(All | BindingFlags.DeclaredOnly))
            {
                Assert.Equal("__Internal", method.GetCustomAttribute<DllImportAttribute>()?.Value ?? "__Internal");
            }
        }

        [Fact]
        public static void APluginWhoseClientLogsIsUnloaded()
        {
            var plugin = LoadAndForget(nameof(Plugin.Start));
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return !plugin.IsAlive;
                },
                "it is unloaded");
        }

        /// <summary>The client stays in a static field of the plugin, and its log reaches that.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        internal static WeakReference LoadAndForget(string method, params object[] words)
        {
            var world = new World(Fixture(Project.OwnLibrary("mfa")));
            var plugin = world.LoadFromAssemblyPath(typeof(Plugin).Assembly.Location).GetType(typeof(Plugin).FullName!)!;
            plugin.GetMethod(method)!.Invoke(null, words);
            world.Unload();
            return new WeakReference(world, trackResurrection: true);
        }

        [Fact]
        public static void WithoutALibraryItSaysWhatThePackageHasAndWhatThisProcessIs()
        {
            var refusal = OpenWith("/nowhere/libmfa.so");
            string architecture = RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();
            Assert.Contains("this package has " + RuntimeInformation.RuntimeIdentifier, refusal.Message, StringComparison.Ordinal);
            Assert.Contains("this process is " + (OperatingSystem.IsWindows() ? "win-" : "linux-") + architecture, refusal.Message, StringComparison.Ordinal);
            Assert.IsType<DllNotFoundException>(refusal.InnerException);
        }

        [Fact]
        public static void WithoutALibraryTheTextsOfTheCodesAreThereAllTheSame()
        {
            var world = new World("/nowhere/libmfa.so");
            var library = world.LoadFromAssemblyPath(typeof(HyperIdClient).Assembly.Location).GetType(typeof(MfaLibrary).FullName!)!;
            var code = library.Assembly.GetType(typeof(MfaErrorCode).FullName!)!;
            string Ask(string member, int number) =>
                (string)library.GetMethod(member)!.Invoke(null, new[] { Enum.ToObject(code, number) })!;
            Assert.Equal("Timeout", Ask(nameof(MfaLibrary.NameOf), 110));
            Assert.Contains("deadline", Ask(nameof(MfaLibrary.MessageOf), 110), StringComparison.Ordinal);
            Assert.Equal("12345", Ask(nameof(MfaLibrary.NameOf), 12345));
            var version = Assert.Throws<TargetInvocationException>(() => library.GetProperty("Version")!.GetValue(null));
            Assert.IsType<DllNotFoundException>(version.InnerException);
        }

        private static string Fixture(string name)
        {
            string file = Path.Combine(AppContext.BaseDirectory, name);
            Assert.SkipUnless(File.Exists(file), $"there is no {name}: it was built without a C compiler");
            return file;
        }

        /// <summary>The binding once more, in a world where another library is "mfa".</summary>
        private static Exception OpenWith(string library)
        {
            var world = new World(library);
            var client = world.LoadFromAssemblyPath(typeof(HyperIdClient).Assembly.Location).GetType(typeof(HyperIdClient).FullName!)!;
            var failure = Assert.Throws<TargetInvocationException>(() => Activator.CreateInstance(client, new object?[] { null }));
            Assert.IsType<DllNotFoundException>(failure.InnerException);
            // A second try is told the same, not that a type could not be initialised.
            Assert.Throws<TargetInvocationException>(() => Activator.CreateInstance(client, new object?[] { null }));
            return failure.InnerException!;
        }

        private sealed class World : AssemblyLoadContext
        {
            private readonly string library;

            internal World(string library) : base("misfit", isCollectible: true)
            {
                this.library = library;
            }

            /// <summary>The plugin has its own binding.</summary>
            protected override Assembly? Load(AssemblyName assemblyName) => assemblyName.Name == "MfaClient"
                ? LoadFromAssemblyPath(typeof(HyperIdClient).Assembly.Location)
                : null;

            protected override IntPtr LoadUnmanagedDll(string unmanagedDllName) => NativeLibrary.Load(library);
        }
    }
}
#endif
