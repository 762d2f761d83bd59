using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>Threads, handles and descriptors are counted, and the pool is bounded: nothing else runs meanwhile.</summary>
    [Collection(nameof(Alone))]
    public static class ManyWaitsTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        private static readonly MfaWaitOptions Patient = new MfaWaitOptions { MinInterval = TimeSpan.FromSeconds(20), MaxInterval = TimeSpan.FromSeconds(60) };
        private static readonly TimeSpan Long = TimeSpan.FromMinutes(2);

        [Fact]
        public static async Task FiveThousandWaitsTakeAtMostTwoMoreThreads()
        {
            Proc.Needed();
            using var sandbox = new Sandbox(strict: true, life: TimeSpan.FromMinutes(10));
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var before = SystemThreads.Now();
            var waits = Enumerable.Range(0, 5000).Select(n => client.ConfirmAsync(
                "sandbox-never#" + n, Question, Patient, timeout: TimeSpan.FromMinutes(9), cancellationToken: cancel.Token)).ToList();
            sandbox.WaitForRequests("/mfa-client/transaction/start/v2", waits.Count, Long);
            var more = SystemThreads.Now().Where(thread => !before.ContainsKey(thread.Key)).Select(thread => thread.Value).ToList();
            Assert.True(more.Count <= 2, string.Join(", ", more));
            Assert.Contains("MfaClient waits", more);
            Assert.DoesNotContain(waits, wait => wait.IsCompleted);
            cancel.Cancel();
            foreach (var wait in waits)
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Long, wait));
            }
            Gone();
        }

        [Fact]
        public static async Task WaitsTakeNoMoreConnectionsThanTheClientMay()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.MaxConnections = 2;
            using var client = new HyperIdClient(options);
            var quick = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50) };
            var all = Task.WhenAll(Enumerable.Range(0, 40).Select(n => client.ConfirmAsync("sandbox-approve+slow-20#" + n, Question, quick)));
            await Within.Time(Long, all);
            var answers = await all;
            Assert.All(answers, answer => Assert.True(answer.IsApproved));
            // All that there were: on a slow machine one may have been closed and another opened. Without the bound it is one for each.
            Assert.InRange(sandbox.ConnectionCount, 1, 10);
        }

        [Fact]
        public static async Task WaitsSendNoMoreRequestsInASecondThanTheClientMay()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.MaxRequestsPerSecond = 10;
            using var client = new HyperIdClient(options);
            var quick = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50) };
            var ids = Enumerable.Range(0, 30).Select(n => client.Start("sandbox-approve-after-0#" + n, Question)).ToList();
            var watch = Stopwatch.StartNew();
            var all = Task.WhenAll(ids.Select((id, n) => client.WaitAsync("sandbox-approve-after-0#" + n, id, quick)));
            await Within.Time(Long, all);
            Assert.All(await all, answer => Assert.True(answer.IsApproved));
            // Thirty requests, ten a second: without the bound they take a few of its intervals of 50 ms.
            Assert.True(watch.Elapsed > TimeSpan.FromSeconds(1.5), $"{watch.Elapsed}");
        }

        [Fact]
        public static async Task AThousandCancelsEndPromptlyEachWithItsOwnTokenIdAndFacts()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var ids = new ConcurrentDictionary<int, long>();
            var cancels = Enumerable.Range(0, 1000).Select(_ => new CancellationTokenSource()).ToList();
            var waits = cancels.Select((cancel, n) => client.ConfirmAsync(
                "sandbox-never#" + n, Question, Patient, new Reports(soFar => ids[n] = soFar.Id), cancellationToken: cancel.Token)).ToList();
            Eventually.True(() => ids.Count == waits.Count, "all are asked");
            var watch = Stopwatch.StartNew();
            cancels.ForEach(cancel => cancel.Cancel());
            for (int n = 0; n < waits.Count; n++)
            {
                var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Long, waits[n]));
                Assert.True(waits[n].IsCanceled);
                Assert.Equal(cancels[n].Token, failure.CancellationToken);
                var facts = Assert.IsType<MfaException>(failure.InnerException);
                Assert.Equal(MfaErrorCode.Cancelled, facts.Code);
                Assert.Equal(ids[n], facts.Transaction!.Id);
                Assert.False(facts.OutcomeUnknown || facts.Withdrawn);
            }
            Console.WriteLine($"# 1000 cancels in {watch.ElapsedMilliseconds} ms");
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
            cancels.ForEach(cancel => cancel.Dispose());
            Gone();
        }

        [Fact]
        public static async Task AnApprovalThatMeetsACancelIsNeitherLostNorDoubled()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            long id = client.Start("sandbox-phone#race", Question);
            sandbox.Decide(id, SandboxDecision.Approve);
            var wait = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(1) };
            int approved = 0, cancelled = 0, continued = 0;
            var random = new Random(7);
            using var toCancel = new BlockingCollection<(CancellationTokenSource Source, int Spins)>();
            var canceller = new Thread(() =>
            {
                foreach (var (source, spins) in toCancel.GetConsumingEnumerable())
                {
                    Thread.SpinWait(spins);
                    source.Cancel();
                }
            });
            canceller.Start();
            for (int batch = 0; batch < 200; batch++)
            {
                var sources = Enumerable.Range(0, 50).Select(_ => new CancellationTokenSource()).ToList();
                var calls = new List<Task<MfaTransaction>>();
                foreach (var source in sources)
                {
                    calls.Add(client.WaitAsync("sandbox-phone#race", id, wait, cancellationToken: source.Token));
                    _ = calls.Last().ContinueWith(_ => Interlocked.Increment(ref continued), TaskScheduler.Default);
                }
                sources.ForEach(source => toCancel.Add((source, random.Next(batch % 2 == 0 ? 200 : 20000))));
                for (int n = 0; n < calls.Count; n++)
                {
                    try
                    {
                        await Within.Time(Eventually.Soon, calls[n]);
                        var answer = await calls[n];
                        Assert.True(answer.IsApproved && answer.Id == id, "its own answer");
                        approved++;
                    }
                    catch (OperationCanceledException e)
                    {
                        Assert.Equal(sources[n].Token, e.CancellationToken);
                        cancelled++;
                    }
                }
            }
            toCancel.CompleteAdding();
            canceller.Join();
            Console.WriteLine($"# {approved} approved, {cancelled} cancelled");
            Assert.Equal(10_000, approved + cancelled);
            Assert.True(approved > 0 && cancelled > 0, $"{approved} approved, {cancelled} cancelled");
            Eventually.True(() => Volatile.Read(ref continued) == 10_000, "each has ended once");
            Gone();
        }

        [Fact]
        public static void ResultEndsWithEveryThreadOfABoundedPoolBlockedInIt()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            ThreadPool.GetMaxThreads(out int most, out int mostPorts);
            ThreadPool.GetMinThreads(out int least, out int leastPorts);
            int bound = Math.Max(Environment.ProcessorCount, 2) + 1; // this test may be on one of them
            int approved = 0, denied = 0, cancelled = 0;
            using var blocked = new CountdownEvent(bound - 1);
            using var ended = new CountdownEvent(4 * bound);
            ThreadPool.SetMinThreads(bound, leastPorts);
            Assert.True(ThreadPool.SetMaxThreads(bound, mostPorts), "the pool is bounded");
            try
            {
                for (int n = 0; n < 4 * bound; n++)
                {
                    string token = n % 3 == 0 ? "sandbox-approve#" : n % 3 == 1 ? "sandbox-deny#" : "sandbox-never#";
                    token += n;
                    var own = n % 3 == 1 ? default : cancel.Token;
                    ThreadPool.QueueUserWorkItem(_ =>
                    {
                        if (!blocked.IsSet)
                        {
                            blocked.Signal();
                        }
                        try
                        {
                            var call = client.ConfirmAsync(token, Question, CallTests.Quick, cancellationToken: own);
                            Interlocked.Increment(ref call.Result.IsApproved ? ref approved : ref denied);
                        }
                        catch (AggregateException e) when (e.InnerException is OperationCanceledException)
                        {
                            Interlocked.Increment(ref cancelled);
                        }
                        finally
                        {
                            ended.Signal();
                        }
                    });
                }
                var canceller = new Thread(() =>
                {
                    blocked.Wait(Eventually.Soon);
                    while (ended.CurrentCount > 0)
                    {
                        Thread.Sleep(100);
                        if (approved + denied > 0)
                        {
                            cancel.Cancel();
                        }
                    }
                })
                { IsBackground = true };
                canceller.Start();
                Assert.True(ended.Wait(Long), $"all end; {ended.CurrentCount} have not");
                canceller.Join();
            }
            finally
            {
                ThreadPool.SetMaxThreads(most, mostPorts);
                ThreadPool.SetMinThreads(least, leastPorts);
            }
            Console.WriteLine($"# in a pool of {bound}: {approved} approved, {denied} denied, {cancelled} cancelled");
            Assert.True(denied > 0 && cancelled > 0);
        }

        [Fact]
        public static async Task UnderCollectionsAtRandomAllEndAndAllHandlesAreLetGo()
        {
            using var sandbox = new Sandbox(strict: true);
            using var stop = new CancellationTokenSource();
            int files = Proc.OpenFiles();
            var collector = new Thread(() =>
            {
                var when = new Random(11);
                while (!stop.IsCancellationRequested)
                {
                    GC.Collect(when.Next(3));
                    GC.WaitForPendingFinalizers();
                    Thread.Sleep(when.Next(5));
                }
            });
            collector.Start();
            try
            {
                for (int round = 0; round < 4; round++)
                {
                    await Task.WhenAll(Mixture(sandbox, round));
                }
            }
            finally
            {
                stop.Cancel();
                collector.Join();
            }
            // This goes on in the last call's completion, whose frames would keep its client.
            await Task.Yield();
            Gone();
            Assert.Equal(0, Ticket.Held);
            // The sandbox is in this process: its ends of the connections close a moment later.
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return Proc.OpenFiles() <= files + 8;
                },
                "no descriptor stays open");
        }

#if NET
        private const bool IsForgettable = true;
#else
        private const bool IsForgettable = false;
#endif

        /// <summary>The clients and callbacks are held by the calls alone.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        private static List<Task> Mixture(Sandbox sandbox, int round)
        {
            var calls = new List<Task>();
            for (int n = 0; n < 10; n++)
            {
                var client = new HyperIdClient(sandbox.ClientOptions());
                for (int m = 0; m < 10; m++)
                {
                    calls.Add(One(client, sandbox, m, $"#{round}-{n}-{m}"));
                }
                // Mono takes whatever is left on a stack for a reference, and so may keep what is forgotten.
                if (n % 2 == 0 || !IsForgettable)
                {
                    client.Dispose();
                }
            }
            return calls;
        }

        private static async Task One(HyperIdClient client, Sandbox sandbox, int kind, string person)
        {
            using var cancel = new CancellationTokenSource();
            try
            {
                switch (kind % 5)
                {
                    case 0:
                        Assert.True((await client.ConfirmAsync("sandbox-approve" + person, Question, CallTests.Quick)).IsApproved);
                        break;
                    case 1:
                        Assert.Equal(MfaDecision.Denied, (await client.ConfirmAsync("sandbox-deny" + person, Question, CallTests.Quick)).Decision);
                        break;
                    case 2:
                        cancel.CancelAfter(100);
                        await Assert.ThrowsAnyAsync<OperationCanceledException>(
                            () => client.ConfirmAsync("sandbox-never" + person, Question, CallTests.Quick, cancellationToken: cancel.Token));
                        break;
                    case 3:
                        await Assert.ThrowsAsync<FormatException>(() => client.ConfirmAsync(
                            "sandbox-never" + person, Question, CallTests.Quick, new Reports(_ => throw new FormatException())));
                        break;
                    default:
                        var progress = new Reports(Reports.Once(2, soFar => sandbox.Decide(soFar.Id, SandboxDecision.Approve)));
                        Assert.True((await client.ConfirmAsync(
                            "sandbox-token-expires-after-1+phone" + person,
                            Question,
                            CallTests.Quick,
                            progress,
                            async _ =>
                            {
                                await Task.Yield();
                                return "sandbox-phone" + person;
                            })).IsApproved);
                        break;
                }
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{kind} {person}: {e.Message}", e);
            }
        }

        [Fact]
        public static void AClientThatIsForgottenWithAWaitPendingIsFreedAfterIt()
        {
            using var sandbox = new Sandbox(strict: true);
            var (log, asking) = Forget(sandbox);
            long id = sandbox.WaitForTransaction(Eventually.Soon);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Assert.True(log.IsAlive, "the wait holds its client");
            sandbox.Decide(id, SandboxDecision.Approve);
            Assert.True(Approved(asking));
            asking = null!;
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return !log.IsAlive;
                },
                "the client is freed");
            Gone();
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static (WeakReference Log, Task<MfaTransaction> Asking) Forget(Sandbox sandbox)
        {
            var lines = new object();
            var options = sandbox.ClientOptions();
            options.Log = (_, _) => lines.GetHashCode();
            return (new WeakReference(lines), new HyperIdClient(options).ConfirmAsync("sandbox-phone", Question, CallTests.Quick));
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool Approved(Task<MfaTransaction> asking) => asking.Result.IsApproved;

        [Fact]
        public static async Task TheThreadEndsWithTheLastWaitAndComesBackWithTheNext()
        {
            Proc.Needed();
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            for (int round = 0; round < 3; round++)
            {
                var asking = client.ConfirmAsync("sandbox-phone#" + round, Question, CallTests.Quick);
                long id = sandbox.WaitForTransaction(Eventually.Soon);
                Assert.Contains("MfaClient waits", SystemThreads.Now().Values);
                sandbox.Decide(id, SandboxDecision.Deny);
                Assert.Equal(MfaDecision.Denied, (await asking).Decision);
                Gone();
            }
        }

        [Fact]
        public static async Task WithoutADescriptorTheTaskFailsWithAnMfaException()
        {
            Proc.Needed();
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Task<MfaTransaction> Ask() => client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick);
            // Once before, so that nothing is left to be loaded.
            Assert.True((await Ask()).IsApproved);
            Gone();
            Task<MfaTransaction> asking;
            using (new NoDescriptorsLeft())
            {
                asking = Ask();
            }
            var failure = await Failure.OfAsync(MfaErrorCode.Internal, () => asking);
            Assert.Equal(24, failure.OsError); // EMFILE
            Assert.True(asking.IsFaulted);
            Assert.Null(failure.Transaction);
            Assert.False(failure.OutcomeUnknown, "nothing was sent");
            Assert.True((await Ask()).IsApproved, "later there are");
        }

        [Fact]
        public static async Task WithoutAThreadTheTaskFailsWithAnMfaException()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var call in new Func<Task>[]
            {
                () => client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick),
                () => client.WaitAsync("sandbox-approve", 7, CallTests.Quick),
                () => client.IsAvailableAsync("sandbox-approve"),
                () => client.StartAsync("sandbox-approve", Question),
            })
            {
                int requests = sandbox.RequestCount();
                Task asking;
                using (new NoThreadsLeft())
                {
                    asking = call();
                }
                var failure = await Failure.OfAsync(MfaErrorCode.Internal, () => asking);
                Assert.Contains("no thread", failure.Message, StringComparison.Ordinal);
                Assert.Equal(requests, sandbox.RequestCount());
            }
            Assert.Equal(0, Ticket.Held);
            Assert.True((await client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick)).IsApproved, "later there are");
        }

        /// <summary>As where .NET Framework aborts the thread that calls, which it does on its way back from native code.</summary>
        [Fact]
        public static async Task AnAddThatIsEndedWhenTheWaitIsThereTellsItsEndToNobodyElse()
        {
            using var sandbox = new Sandbox(strict: true);
            using var handle = MfaClientOptions.Open(sandbox.ClientOptions(), new HyperIdHandle(Native.mfa_waiter_options.Initial));
            using var cancel = new CancellationTokenSource();
            Task<MfaTransaction> Ask(string token) => HyperIdCalls.ConfirmAsync(
                handle, token, Question, CallTests.Quick, null, null, Long, cancel.Token);
            int held = Ticket.Held;
            var others = new List<Task<MfaTransaction>> { Ask("sandbox-never#before") };
            long id = HyperIdCalls.Start(handle, "sandbox-approve#mine", Question, null, default).Run();
            Assert.Throws<FormatException>(() => AddAndFail(handle, "sandbox-approve#mine", id));
            others.AddRange(Enumerable.Range(0, 20).Select(n => Ask("sandbox-never#" + n)));
            // On the same waiter, and later than what the other would have been told.
            Assert.True((await Ask("sandbox-approve#after")).IsApproved);
            Assert.DoesNotContain(others, other => other.IsCompleted);
            Eventually.True(() => Ticket.Held == held + others.Count, "its handle goes with its end");
            cancel.Cancel();
            foreach (var other in others)
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Long, other));
            }
            Gone();
        }

        private static unsafe void AddAndFail(HyperIdHandle client, string token, long id)
        {
            using var texts = new Texts();
            byte[] text = texts.Token(token, nameof(token));
            client.Waits.Add(new Ticket(mayAsk: false, withdraws: false, default), Add);

            int Add(WaiterHandle waiter, IntPtr userData, out ulong number, Native.mfa_error* error)
            {
                var (how, options) = (MfaWaitOptions.ToNative(CallTests.Quick), Native.mfa_call_options.Initial);
                Assert.Equal(Native.MFA_OK, Native.mfa_waiter_wait(waiter, text, id, &how, &options, userData, out number, error));
                throw new FormatException();
            }
        }

#if NET
        [Fact]
        public static void APluginThatWaitsIsUnloadedAfterItAndItsThreadIsGone()
        {
            Proc.Needed();
            using var sandbox = new Sandbox(strict: true);
            var plugin = MisfitTests.LoadAndForget(nameof(Plugin.Wait), sandbox.HyperIdUrl);
            long id = sandbox.WaitForTransaction(Eventually.Soon);
            Assert.Contains("MfaClient waits", SystemThreads.Now().Values);
            sandbox.Decide(id, SandboxDecision.Approve);
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return !plugin.IsAlive;
                },
                "it is unloaded");
            Gone();
        }
#else
        /// <summary>What runs in a domain of its own.</summary>
        public sealed class Guest : MarshalByRefObject
        {
            public void Wait(string url) =>
                _ = new HyperIdClient(new MfaClientOptions { BaseUrl = url, AllowLoopbackHttp = true }).ConfirmAsync("sandbox-phone", Question);
        }

        [Fact]
        public static void ADomainThatWaitsIsUnloadedAtOnceAndItsThreadIsGone()
        {
            Proc.Needed();
            using var sandbox = new Sandbox(strict: true);
            var domain = AppDomain.CreateDomain("guest", null, AppDomain.CurrentDomain.SetupInformation);
            var guest = (Guest)domain.CreateInstanceAndUnwrap(typeof(Guest).Assembly.FullName!, typeof(Guest).FullName!);
            guest.Wait(sandbox.HyperIdUrl);
            sandbox.WaitForTransaction(Eventually.Soon);
            Assert.Contains("MfaClient waits", SystemThreads.Now().Values);
            Eventually.Within(TimeSpan.FromSeconds(10), () => AppDomain.Unload(domain));
            Gone();
        }
#endif

        private static void Gone() => Eventually.True(
            () => !Proc.IsThere || !SystemThreads.Now().ContainsValue("MfaClient waits"), "the thread is gone");
    }

    /// <summary>The threads of this process but for the pool's, the runtime's own, and the sandbox's: its number and name each.</summary>
    internal static class SystemThreads
    {
        private static readonly string[] NotCounted = { "mfa-sandbox", ".NET", "Thread Pool", "Timer-", "Finalizer", "tp-" };

        internal static Dictionary<string, string> Now()
        {
            var threads = new Dictionary<string, string>();
            foreach (string folder in Directory.GetDirectories("/proc/self/task"))
            {
                try
                {
                    string name = File.ReadAllText(Path.Combine(folder, "comm")).Trim();
                    if (!NotCounted.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
                    {
                        threads[Path.GetFileName(folder)] = name;
                    }
                }
                catch (IOException)
                {
                    // It has ended meanwhile.
                }
            }
            return threads;
        }
    }

    /// <summary>As long as it lives, this process can open nothing more.</summary>
    internal sealed class NoDescriptorsLeft : IDisposable
    {
        private readonly Limits.Limit before = Limits.Get(Limits.Descriptors);
        private readonly List<int> taken = new List<int>();

        internal NoDescriptorsLeft()
        {
            Limits.Set(Limits.Descriptors, 1024);
            for (int file = Limits.dup(0); file >= 0; file = Limits.dup(0))
            {
                taken.Add(file);
            }
            Assert.NotEmpty(taken);
        }

        public void Dispose()
        {
            taken.ForEach(file => _ = Limits.close(file));
            Limits.Set(Limits.Descriptors, before.Soft);
        }
    }

    /// <summary>As long as it lives, this process can start no thread. The limit does not bind root, who is somebody else meanwhile.</summary>
    internal sealed class NoThreadsLeft : IDisposable
    {
        private const uint Nobody = 65534;
        private readonly Limits.Limit before = Limits.Get(Limits.Processes);
        private readonly bool wasRoot = Limits.geteuid() == 0;

        internal NoThreadsLeft()
        {
            if (wasRoot)
            {
                Assert.SkipUnless(Limits.setresuid(Nobody, Nobody, 0) == 0, "root may not become nobody here");
            }
            Limits.Set(Limits.Processes, 1);
        }

        public void Dispose()
        {
            if (wasRoot)
            {
                Assert.Equal(0, Limits.setresuid(0, 0, 0));
            }
            Limits.Set(Limits.Processes, before.Soft);
        }
    }

    /// <summary>Linux' numbers.</summary>
    internal static class Limits
    {
        internal const int Processes = 6;
        internal const int Descriptors = 7;

        internal static Limit Get(int resource)
        {
            Assert.SkipUnless(RuntimeInformation.IsOSPlatform(OSPlatform.Linux), "the numbers are Linux'");
            Assert.Equal(0, getrlimit(resource, out var limit));
            return limit;
        }

        internal static void Set(int resource, ulong soft)
        {
            Assert.Equal(0, getrlimit(resource, out var limit));
            limit.Soft = soft;
            Assert.Equal(0, setrlimit(resource, ref limit));
        }

        [DllImport("libc")]
        internal static extern int dup(int file);

        [DllImport("libc")]
        internal static extern int close(int file);

        [DllImport("libc")]
        internal static extern uint geteuid();

        [DllImport("libc")]
        internal static extern int setresuid(uint real, uint effective, uint saved);

        [DllImport("libc")]
        private static extern int getrlimit(int resource, out Limit limit);

        [DllImport("libc")]
        private static extern int setrlimit(int resource, ref Limit limit);

        [StructLayout(LayoutKind.Sequential)]
        internal struct Limit
        {
            internal ulong Soft;
            internal ulong Hard;
        }
    }
}
