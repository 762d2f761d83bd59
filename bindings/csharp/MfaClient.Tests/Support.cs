using System;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
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

    /// <summary>What the project file knows.</summary>
    internal static class Project
    {
        internal static string Fact(string name) => typeof(Project).Assembly
            .GetCustomAttributes<AssemblyMetadataAttribute>().Single(fact => fact.Key == name).Value!;
    }
}
