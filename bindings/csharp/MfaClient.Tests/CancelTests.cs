using System;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    public static class CancelTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        private static readonly TimeSpan Prompt = TimeSpan.FromSeconds(2);

        [Fact]
        public static void BeforeTheCall()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var token = new CancellationToken(canceled: true);
            var failure = Assert.ThrowsAny<OperationCanceledException>(
                () => client.IsAvailable("sandbox-approve", cancellationToken: token));
            Assert.Equal(token, failure.CancellationToken);
            Assert.True(client.IsAvailableAsync("sandbox-approve", cancellationToken: token).IsCanceled, "the task");
            Assert.Equal(0, sandbox.RequestCount());
        }

        [Fact]
        public static async Task FromAnotherThread()
        {
            foreach (var call in new Action<HyperIdClient, CancellationToken>[]
            {
                (client, token) => client.IsAvailable("sandbox-silent", cancellationToken: token),
                (client, token) => client.GetTwoFactorTypes("sandbox-silent", cancellationToken: token),
                (client, token) => client.Start("sandbox-silent", Question, cancellationToken: token),
                (client, token) => client.GetStatus("sandbox-silent", 7, cancellationToken: token),
                (client, token) => client.Cancel("sandbox-silent", 7, cancellationToken: token),
                (client, token) => client.Wait("sandbox-silent", 7, cancellationToken: token),
                (client, token) => client.Confirm("sandbox-never", Question, cancellationToken: token),
            })
            {
                using var sandbox = new Sandbox(strict: true);
                using var client = new HyperIdClient(sandbox.ClientOptions());
                using var cancel = new CancellationTokenSource();
                var running = Task.Factory.StartNew(() => call(client, cancel.Token), TaskCreationOptions.LongRunning);
                sandbox.WaitForRequests(null, 1, Eventually.Soon);
                cancel.Cancel();
                var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Prompt, running));
                Assert.Equal(cancel.Token, failure.CancellationToken);
                Assert.Equal(MfaErrorCode.Cancelled, ((MfaException)failure.InnerException!).Code);
            }
        }

        [Fact]
        public static async Task AnAsynchronousCall()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var asking = client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, cancellationToken: cancel.Token);
            long id = sandbox.WaitForTransaction(Eventually.Soon);
            sandbox.WaitForRequests("/mfa-client/transaction/status-get", 2, Eventually.Soon);
            cancel.Cancel();
            var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Prompt, asking));
            Assert.True(asking.IsCanceled, "the task is cancelled, not faulted");
            Assert.Equal(cancel.Token, failure.CancellationToken);
            failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
            Assert.Equal(id, ((MfaException)failure.InnerException!).Transaction!.Id);
            Assert.Equal(0, sandbox.GetTransaction(id).Status);
        }

        [Fact]
        public static async Task AStartThatWasSentMayHaveHappened()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var starting = client.StartAsync("sandbox-silent", Question, cancellationToken: cancel.Token);
            sandbox.WaitForRequests(null, 1, Eventually.Soon);
            cancel.Cancel();
            var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => starting);
            Assert.True(((MfaException)failure.InnerException!).OutcomeUnknown, "the outcome is unknown");
        }

        [Fact]
        public static void FromAProgressReport()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var progress = new Reports(_ => cancel.Cancel());
            Assert.ThrowsAny<OperationCanceledException>(() => client.Confirm(
                "sandbox-never", Question, CallTests.Quick, progress, cancellationToken: cancel.Token));
            Assert.Single(progress.Seen);
        }

        [Fact]
        public static void ByTime()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            Eventually.Within(TimeSpan.FromMilliseconds(200) + Prompt, () => Assert.ThrowsAny<OperationCanceledException>(
                () => client.ConfirmAsync("sandbox-never", Question, cancellationToken: cancel.Token).GetAwaiter().GetResult()));
        }

        [Fact]
        public static async Task AProviderThatThrowsOnTheCallersOwnTokenEndsAsThatCancel()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var asking = client.ConfirmAsync(
                "sandbox-token-expires-after-1+phone",
                Question,
                CallTests.Quick,
                refreshAccessToken: async token =>
                {
                    cancel.Cancel();
                    await Task.Delay(Timeout.Infinite, token);
                    return null;
                },
                cancellationToken: cancel.Token);
            var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
            Assert.True(asking.IsCanceled, "the task is cancelled");
            Assert.Equal(cancel.Token, failure.CancellationToken);
            var facts = Assert.IsType<MfaException>(failure.InnerException);
            Assert.Equal(MfaErrorCode.Cancelled, facts.Code);
            Assert.True(facts.Transaction!.Id > 0, "the id is told");
        }

        [Fact]
        public static async Task AProviderThatHangsAtTheDeadlineIsATimeout()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var failure = await Failure.OfAsync(MfaErrorCode.Timeout, () => client.ConfirmAsync(
                "sandbox-token-expires-after-1+phone",
                Question,
                CallTests.Quick,
                refreshAccessToken: _ => new TaskCompletionSource<string?>().Task,
                timeout: TimeSpan.FromSeconds(1)));
            Assert.True(failure.Transaction!.Id > 0, "the id is told");
        }

        /// <summary>An interrupt that comes at any time costs no answer of a request that was sent.</summary>
        [Fact]
        public static void AnInterruptThatIsPendingWhenTheCallEndsDoesNotCostItsAnswer()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            int interrupts = 0;
            var progress = new Reports(soFar =>
            {
                if (soFar.Decision == MfaDecision.Approved)
                {
                    Thread.CurrentThread.Interrupt();
                }
            });
            Assert.True(client.Confirm(
                "sandbox-approve", Question, CallTests.Quick, progress, cancellationToken: cancel.Token).IsApproved);
            try
            {
                Thread.Sleep(1);
            }
            catch (ThreadInterruptedException)
            {
                interrupts++;
            }
            Assert.Equal(1, interrupts);
        }

        [Fact]
        public static void AnInterruptInALogIsNotSwallowed()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            options.Log = (level, _) =>
            {
                if (level == MfaLogLevel.Debug)
                {
                    Thread.CurrentThread.Interrupt();
                    Thread.Sleep(1);
                }
            };
            using var client = new HyperIdClient(options);
            Assert.True(client.IsAvailable("sandbox-approve"));
            Assert.Throws<ThreadInterruptedException>(() => Thread.Sleep(1));
        }

        /// <summary>Cancels that meet the end of a call: either it was cancelled, or it has its answer.</summary>
        [Fact]
        public static void RacingWithTheEnd()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            client.IsAvailable("sandbox-approve");
            int cancelled = 0, answered = 0;
            for (int round = 0; round < 1000; round++)
            {
                var cancel = new CancellationTokenSource();
                using var ready = new Barrier(2);
                int spins = round % 500 * 20;
                var thread = new Thread(() =>
                {
                    ready.SignalAndWait();
                    Thread.SpinWait(spins);
                    cancel.Cancel();
                    cancel.Dispose();
                });
                thread.Start();
                var token = cancel.Token;
                ready.SignalAndWait();
                try
                {
                    Assert.True(client.IsAvailable("sandbox-approve", cancellationToken: token), "available");
                    answered++;
                }
                catch (OperationCanceledException)
                {
                    cancelled++;
                }
                catch (ObjectDisposedException)
                {
                    // The source was disposed before the call took its token.
                    cancelled++;
                }
                thread.Join();
            }
            Assert.True(cancelled > 0, "some were cancelled");
            Console.WriteLine($"# {answered} answered, {cancelled} cancelled");
        }
    }
}
