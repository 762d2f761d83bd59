using System;
using System.Collections.Concurrent;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>Memory is measured and collected: nothing else runs meanwhile.</summary>
    [CollectionDefinition(nameof(Alone), DisableParallelization = true)]
    public sealed class Alone
    {
    }

    [Collection(nameof(Alone))]
    public static class LifetimeTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");

        [Fact]
        public static void UseAfterDispose()
        {
            using var sandbox = new Sandbox(strict: true);
            var client = new HyperIdClient(sandbox.ClientOptions());
            client.Dispose();
            client.Dispose();
            foreach (var call in new Action[]
            {
                () => client.IsAvailable("sandbox-approve"),
                () => client.GetTwoFactorTypes("sandbox-approve"),
                () => client.Start("sandbox-approve", Question),
                () => client.GetStatus("sandbox-approve", 1),
                () => client.Cancel("sandbox-approve", 1),
                () => client.Wait("sandbox-approve", 1),
                () => client.Confirm("sandbox-approve", Question),
                () => client.ConfirmAsync("sandbox-approve", Question).GetAwaiter().GetResult(),
            })
            {
                Assert.ThrowsAny<ObjectDisposedException>(call);
            }
            var capillary = new CapillaryClient(sandbox.ClientOptions());
            capillary.Dispose();
            Assert.ThrowsAny<ObjectDisposedException>(() => capillary.GetMfaRegistration("b", "d", "t"));
            Assert.Equal(0, sandbox.RequestCount());
        }

        [Fact]
        public static async Task DisposeDuringACall()
        {
            using var sandbox = new Sandbox(strict: true);
            var client = new HyperIdClient(sandbox.ClientOptions());
            var asking = client.ConfirmAsync("sandbox-phone", Question, CallTests.Quick);
            long id = sandbox.WaitForTransaction(Eventually.Soon);
            client.Dispose();
            Assert.ThrowsAny<ObjectDisposedException>(() => client.IsAvailable("sandbox-phone"));
            sandbox.Decide(id, SandboxDecision.Approve);
            Assert.True((await asking).IsApproved, "the call that runs ends well");
        }

        [Fact]
        public static void DisposeInACallback()
        {
            using var sandbox = new Sandbox(strict: true);
            var client = new HyperIdClient(sandbox.ClientOptions());
            var progress = new Reports(_ => client.Dispose());
            Assert.True(client.Confirm("sandbox-approve", Question, CallTests.Quick, progress).IsApproved, "it ends well");
            Assert.ThrowsAny<ObjectDisposedException>(() => client.IsAvailable("sandbox-approve"));
        }

        [Fact]
        public static void ASandboxAfterDispose()
        {
            int pause = 0;
            Eventually.True(() => WasHeldOpenByACall(pause++), "a call holds the sandbox open");
        }

        /// <summary>A call that runs holds it open: for itself, not for new calls.</summary>
        private static bool WasHeldOpenByACall(int pause)
        {
            var sandbox = new Sandbox();
            string url = sandbox.HyperIdUrl;
            var waiting = Task.Factory.StartNew(
                () => sandbox.WaitForRequests(null, 1, Eventually.Soon), TaskCreationOptions.LongRunning);
            Thread.Sleep(pause);
            sandbox.Dispose();
            sandbox.Dispose();
            foreach (var use in new Action[]
            {
                () => sandbox.AddToken("t", "approve"),
                () => sandbox.ExpireToken("t"),
                () => sandbox.RevokeToken("t"),
                () => sandbox.AddBrand("b", true),
                () => sandbox.Decide(1, SandboxDecision.Approve),
                () => sandbox.WaitForTransaction(TimeSpan.FromMilliseconds(1)),
                () => sandbox.GetTransaction(1),
                () => GC.KeepAlive(sandbox.PushCount),
                () => GC.KeepAlive(sandbox.ConnectionCount),
                () => sandbox.RequestCount(),
                () => sandbox.WaitForRequests(null, 0, TimeSpan.FromMilliseconds(1)),
                () => sandbox.LastRequest(),
            })
            {
                Assert.ThrowsAny<ObjectDisposedException>(use);
            }
            using var client = new HyperIdClient(new MfaClientOptions { BaseUrl = url, AllowLoopbackHttp = true });
            try
            {
                client.IsAvailable("sandbox-approve");
            }
            catch (MfaException)
            {
                // It is gone already, or as soon as the call that waits has seen the request.
            }
            try
            {
                waiting.Wait();
                return true;
            }
            catch (AggregateException e) when (e.InnerException is ObjectDisposedException)
            {
                return false;
            }
        }

        /// <summary>Uses what it owns when it is finalized, as its cycle is, and again later, after everything's end.</summary>
        private sealed class Late
        {
            internal static readonly ConcurrentQueue<string> Ends = new ConcurrentQueue<string>();
            internal static volatile Late? Risen;
            private readonly Sandbox server;
            private readonly Sandbox sandbox = new Sandbox();
            private readonly HyperIdClient client;
            private readonly CancellationTokenSource cancel = new CancellationTokenSource();
            private readonly Late me;
            private Task? running;

            internal Late(Sandbox server)
            {
                me = this;
                this.server = server;
                client = new HyperIdClient(server.ClientOptions());
            }

            ~Late()
            {
                // In a thread of its own, which goes on while what it uses is finalized.
                var token = cancel.Token;
                running = Task.Factory.StartNew(
                    () => client.IsAvailable("sandbox-slow-1000", cancellationToken: token), TaskCreationOptions.LongRunning);
                server.WaitForRequests(null, 1, Eventually.Soon);
                Risen = me;
            }

            internal void End()
            {
                running!.Wait();
                Ends.Enqueue("the call ended");
                cancel.Cancel();
                foreach (var use in new Action[] { () => client.IsAvailable("t"), () => sandbox.RequestCount() })
                {
                    Assert.ThrowsAny<ObjectDisposedException>(use);
                    Ends.Enqueue("disposed");
                }
                client.Dispose();
                sandbox.Dispose();
            }
        }

        [Fact]
        public static void UseInAFinalizerAndAfterIt()
        {
            using var sandbox = new Sandbox();
            Make(sandbox);
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    return Late.Risen != null;
                },
                "it is finalized");
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Late.Risen!.End();
            Late.Risen = null;
            Assert.Equal("the call ended, disposed, disposed", string.Join(", ", Late.Ends));
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Make(Sandbox server) => GC.KeepAlive(new Late(server));

        [Fact]
        public static async Task CollectionsDuringACall()
        {
            using var sandbox = new Sandbox(strict: true);
            var stop = new ManualResetEventSlim();
            var collector = new Thread(() =>
            {
                while (!stop.IsSet)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
            });
            collector.Start();
            try
            {
                for (int round = 0; round < 5; round++)
                {
                    Assert.True((await AskWithWhatNobodyElseHolds(sandbox, round)).IsApproved, "approved");
                }
            }
            finally
            {
                stop.Set();
                collector.Join();
            }
        }

        /// <summary>Client, log, progress and token provider are held by the call alone.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        private static Task<MfaTransaction> AskWithWhatNobodyElseHolds(Sandbox sandbox, int round)
        {
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            int lines = 0;
            options.Log = (_, text) => lines += text.Length;
            var wait = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(20) };
            var decide = Reports.Once(6, seen => sandbox.Decide(seen.Id, SandboxDecision.Approve));
            var progress = new Reports(seen =>
            {
                GC.Collect();
                decide(seen);
            });
            return new HyperIdClient(options).ConfirmAsync(
                "sandbox-token-expires-after-2+phone#gc" + round, Question, wait, progress, _ => Task.FromResult<string?>("sandbox-phone#gc" + round));
        }

        [Fact]
        public static void AForgottenClientIsFreed()
        {
            var log = Forget();
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return !log.IsAlive;
                },
                "the log's delegate is let go");
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static WeakReference Forget()
        {
            var lines = new object();
            var options = new MfaClientOptions { Log = (_, _) => lines.GetHashCode() };
            GC.KeepAlive(new HyperIdClient(options));
            return new WeakReference(lines);
        }

        [Fact]
        public static void AClientWhoseLogReachesItIsFreed()
        {
            var owners = ForgetOwners();
            Eventually.True(
                () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return owners.Count(owner => owner.IsAlive) <= Kept;
                },
                "the owners are let go");
        }

#if NET
        private static int Kept => 0;
#else
        private static int Kept => 5; // Mono takes whatever is left on a stack for a reference
#endif

        private sealed class Owner
        {
            private readonly HyperIdClient client;
            private int lines;

            internal Owner() => client = new HyperIdClient(new MfaClientOptions { Log = (_, _) => lines++ });

            public override string ToString() => client + " " + lines;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static WeakReference[] ForgetOwners() =>
            Enumerable.Range(0, 100).Select(_ => new WeakReference(new Owner())).ToArray();

        [Fact]
        public static void ThousandsOfRounds()
        {
            Proc.Needed();
            using var sandbox = new Sandbox(strict: true);
            void Rounds(int count, int calling)
            {
                for (int round = 0; round < count; round++)
                {
                    var options = sandbox.ClientOptions();
                    options.Log = (_, _) => { };
                    using var client = new HyperIdClient(options);
                    if (round < calling)
                    {
                        using var cancel = new CancellationTokenSource();
                        client.IsAvailable("sandbox-approve", cancellationToken: cancel.Token);
                        Assert.ThrowsAny<MfaException>(() => client.IsAvailable("sandbox-token-expired"));
                    }
                    Assert.ThrowsAny<ArgumentException>(() => new HyperIdClient(new MfaClientOptions { BaseUrl = "?", Log = options.Log }));
                }
            }
            Rounds(2000, 100);
            int files = Proc.OpenFiles();
            // What leaks grows every time; the collector's own heap does not.
            long least = long.MaxValue;
            for (int batch = 0; batch < 4; batch++)
            {
                long before = ResidentBytes();
                Rounds(1500, 50);
                least = Math.Min(least, ResidentBytes() - before);
            }
            Console.WriteLine($"# 1500 rounds grow by {least / 1024} KiB at least");
            Assert.True(least < 512 << 10, "memory does not grow");
            Eventually.True(() => Proc.OpenFiles() <= files + 4, "no file stays open");
        }

        private static long ResidentBytes()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            return long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize;
        }
    }
}
