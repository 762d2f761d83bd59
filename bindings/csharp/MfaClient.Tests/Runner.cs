using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;

namespace MfaClient.Tests
{
    /// <summary>Marks a static method without parameters as a test.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class CaseAttribute : Attribute
    {
    }

    /// <summary>A test that cannot run here.</summary>
    public sealed class SkippedException : Exception
    {
        public SkippedException(string why) : base(why)
        {
        }
    }

    /// <summary>
    /// The cases, and a console program that runs them: it prints "ok NAME" or "not ok NAME: why" for each, and
    /// "N passed, N failed, N skipped" at the end. `dotnet test` runs the same ones: see MSTestAdapter.cs.
    /// </summary>
    public static class Runner
    {
        private static readonly Dictionary<string, MethodInfo> Cases = (
            from type in typeof(Runner).Assembly.GetTypes()
            from method in type.GetMethods(BindingFlags.Static | BindingFlags.Public)
            where method.GetCustomAttribute<CaseAttribute>() != null
            select method).ToDictionary(method => method.DeclaringType!.Name + "." + method.Name);

        public static IEnumerable<string> Names => Cases.Keys.OrderBy(name => name, StringComparer.Ordinal);

        public static int Main(string[] only)
        {
            if (only.Contains("--serve"))
            {
                return Serve();
            }
            int passed = 0, failed = 0, skipped = 0;
            foreach (string name in Names.Where(name => only.Length == 0 || only.Any(name.Contains)))
            {
                var watch = Stopwatch.StartNew();
                try
                {
                    Run(name);
                    passed++;
                    Console.WriteLine($"ok {name} ({watch.ElapsedMilliseconds} ms)");
                }
                catch (SkippedException e)
                {
                    skipped++;
                    Console.WriteLine($"skipped {name}: {e.Message}");
                }
                catch (Exception e)
                {
                    failed++;
                    Console.WriteLine($"not ok {name}: {e.Message}");
                    Console.WriteLine((e.InnerException ?? e).ToString());
                }
            }
            Console.WriteLine($"{passed} passed, {failed} failed, {skipped} skipped");
            return failed == 0 ? 0 : 1;
        }

        /// <summary>A sandbox for other processes, until the standard input is closed.</summary>
        private static int Serve()
        {
            NativeLibraries.Resolve();
            using var sandbox = new Testing.Sandbox(strict: true);
            Console.WriteLine(sandbox.HyperIdUrl);
            Console.In.ReadToEnd();
            return 0;
        }

        /// <summary>Each on a thread of its own, so that one which hangs fails and is named.</summary>
        public static void Run(string name)
        {
            NativeLibraries.Resolve();
            Exception? failure = null;
            var thread = new Thread(() =>
            {
                try
                {
                    Cases[name].CreateDelegate<Action>()();
                }
                catch (Exception e)
                {
                    failure = e;
                }
            })
            { IsBackground = true };
            thread.Start();
            if (!thread.Join(TimeSpan.FromSeconds(120)))
            {
                throw new TimeoutException("It has not ended within two minutes.");
            }
            if (failure is SkippedException)
            {
                throw new SkippedException(failure.Message);
            }
            if (failure != null)
            {
                throw new InvalidOperationException(failure.Message, failure);
            }
        }
    }

    /// <summary>Where the libraries under test are: the environment says it, or they are in the build tree above.</summary>
    public static class NativeLibraries
    {
        private static int resolved;

        public static void Resolve()
        {
            if (Interlocked.Exchange(ref resolved, 1) == 0)
            {
                NativeLibrary.SetDllImportResolver(typeof(HyperIdClient).Assembly, Load);
                NativeLibrary.SetDllImportResolver(typeof(Testing.Sandbox).Assembly, Load);
            }
        }

        private static IntPtr Load(string name, Assembly assembly, DllImportSearchPath? path) => name switch
        {
            "mfa" => NativeLibrary.Load(Find("MFA_TEST_LIBRARY", "libmfa.so")),
            "mfa_sandbox" => NativeLibrary.Load(Find("MFA_TEST_SANDBOX_LIBRARY", "libmfa_sandbox.so")),
            _ => IntPtr.Zero,
        };

        private static string Find(string variable, string file)
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } told)
            {
                return told;
            }
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
            {
                foreach (string profile in new[] { "release", "debug" })
                {
                    string candidate = Path.Combine(folder.FullName, "target", profile, file);
                    if (File.Exists(candidate))
                    {
                        return candidate;
                    }
                }
            }
            throw new DllNotFoundException(
                $"There is no {file} in a target folder above: run `cargo build -p mfa-client -p mfa-sandbox`, or set {variable}.");
        }
    }

    /// <summary>What a test expects.</summary>
    public static class Expect
    {
        public static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

        public static void True(bool condition, string what)
        {
            if (!condition)
            {
                throw new InvalidOperationException("It does not hold: " + what);
            }
        }

        public static void Equal<T>(T expected, T actual, string what = "value")
        {
            if (!EqualityComparer<T>.Default.Equals(expected, actual))
            {
                throw new InvalidOperationException($"{what}: expected {expected}, and it is {actual}");
            }
        }

        public static T Throws<T>(Action action)
            where T : Exception
        {
            try
            {
                action();
            }
            catch (T e)
            {
                return e;
            }
            catch (AggregateException e) when (e.InnerException is T inner)
            {
                return inner;
            }
            throw new InvalidOperationException("Expected: " + typeof(T).Name);
        }

        public static MfaException Fails(MfaCode code, Action action)
        {
            var failure = Throws<MfaException>(action);
            Equal(code, failure.Code, "code of \"" + failure.Message + "\"");
            return failure;
        }

        /// <summary>Waits for a condition, not for a time.</summary>
        public static void Becomes(Func<bool> condition, string what)
        {
            var watch = Stopwatch.StartNew();
            while (!condition())
            {
                True(watch.Elapsed < Soon, what + ", in time");
                Thread.Sleep(1);
            }
        }

        public static void Within(TimeSpan limit, Action action)
        {
            var watch = Stopwatch.StartNew();
            action();
            True(watch.Elapsed < limit, $"{watch.Elapsed} is below {limit}");
        }
    }
}
