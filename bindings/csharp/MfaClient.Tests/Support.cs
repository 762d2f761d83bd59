using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>What a test waits for: a condition, not a time.</summary>
    internal static class Eventually
    {
        internal static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

        internal static void True(Func<bool> condition, string what)
        {
            var watch = Stopwatch.StartNew();
            while (!condition())
            {
                Assert.True(watch.Elapsed < Soon, what + ", in time");
                Thread.Sleep(1);
            }
        }

        internal static void Within(TimeSpan limit, Action action)
        {
            var watch = Stopwatch.StartNew();
            action();
            Assert.True(watch.Elapsed < limit, $"{watch.Elapsed} is below {limit}");
        }
    }

    internal static class Within
    {
        /// <summary>Awaits a task that has to end in time.</summary>
        internal static async Task Time(TimeSpan limit, Task task)
        {
            // Cancelled, since Mono ends badly while a timer is pending.
            using var ended = new CancellationTokenSource();
            bool isInTime = task == await Task.WhenAny(task, Task.Delay(limit, ended.Token));
            ended.Cancel();
            Assert.True(isInTime, $"it ends within {limit}");
            await task;
        }
    }

    internal static class Failure
    {
        internal static MfaException Of(MfaErrorCode code, Action action) =>
            With(code, Assert.ThrowsAny<MfaException>(action));

        internal static async Task<MfaException> OfAsync(MfaErrorCode code, Func<Task> action) =>
            With(code, await Assert.ThrowsAnyAsync<MfaException>(action));

        private static MfaException With(MfaErrorCode code, MfaException failure)
        {
            Assert.True(code == failure.Code, $"{failure.Code}, not {code}: {failure.Message}");
            return failure;
        }
    }

    /// <summary>What Linux tells about a process. Under Wine the folder is there too, and tells of another one.</summary>
    internal static class Proc
    {
        internal static bool IsThere => RuntimeInformation.IsOSPlatform(OSPlatform.Linux) && Directory.Exists("/proc/self/task");

        internal static void Needed() => Assert.SkipUnless(IsThere, "there is no /proc");

        internal static int OpenFiles() => IsThere ? Directory.GetFiles("/proc/self/fd").Length : 0;
    }

    /// <summary>What the project file knows.</summary>
    internal static class Project
    {
        internal static string Fact(string name) => typeof(Project).Assembly
            .GetCustomAttributes<AssemblyMetadataAttribute>().Single(fact => fact.Key == name).Value!;

        /// <summary>The file of a library that the tests brought along.</summary>
        internal static string Library(string name) => name + Fact("LibrarySuffix");

        /// <summary>And of one of libmfa's.</summary>
        internal static string OwnLibrary(string name) =>
            Library(RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? name : "lib" + name);
    }
}
