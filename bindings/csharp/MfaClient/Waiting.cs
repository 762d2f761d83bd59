using System;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>Where a fresh token comes from: a function of the call, blocking or not.</summary>
    internal sealed class FreshToken
    {
        private readonly Func<string?>? now;
        private readonly Func<CancellationToken, Task<string?>>? later;

        private FreshToken(Func<string?>? now, Func<CancellationToken, Task<string?>>? later)
        {
            this.now = now;
            this.later = later;
        }

        internal static FreshToken? From(Func<string?>? now) => now == null ? null : new FreshToken(now, null);

        internal static FreshToken? From(Func<CancellationToken, Task<string?>>? later) =>
            later == null ? null : new FreshToken(null, later);

        /// <summary>Waits until the deadline at most. False: it has not come by then.</summary>
        internal bool Get(TimeSpan left, CancellationToken cancellationToken, out string? token)
        {
            if (now != null)
            {
                token = now();
                return true;
            }
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var coming = later!(stop.Token) ?? throw new InvalidOperationException("refreshAccessToken returned no task.");
            try
            {
                bool came = Task.WaitAny(new Task[] { coming }, (int)Math.Min(left.TotalMilliseconds, int.MaxValue), cancellationToken) == 0;
                token = came ? coming.GetAwaiter().GetResult() : null;
                return came;
            }
            finally
            {
                stop.Cancel();
            }
        }
    }

    /// <summary>The caller's side of a wait: what its callbacks need, and what went wrong in them.</summary>
    internal sealed unsafe class Waiting : IDisposable
    {
        private static readonly TimeSpan Default = TimeSpan.FromSeconds(120);
        private readonly IProgress<MfaTransaction>? progress;
        private readonly FreshToken? refreshAccessToken;
        private readonly Texts freshTokens = new Texts();
        private readonly Stopwatch running = new Stopwatch();
        private GCHandle self;
        private TimeSpan deadline;
        private CancellationToken cancellationToken;
        private ExceptionDispatchInfo? failure;
        private bool tokenCameTooLate;

        internal Waiting(IProgress<MfaTransaction>? progress, FreshToken? refreshAccessToken)
        {
            this.progress = progress;
            this.refreshAccessToken = refreshAccessToken;
        }

        internal Native.mfa_wait_options ToNative(MfaWaitOptions? wait)
        {
            var native = (wait ?? new MfaWaitOptions()).ToNative();
            self = GCHandle.Alloc(this);
            native.on_update = progress == null ? IntPtr.Zero : Callbacks.Update;
            native.on_update_user_data = GCHandle.ToIntPtr(self);
            native.access_token_provider = refreshAccessToken == null ? IntPtr.Zero : Callbacks.Token;
            native.access_token_provider_user_data = GCHandle.ToIntPtr(self);
            return native;
        }

        /// <summary>The call begins.</summary>
        internal void Begin(uint milliseconds, CancellationToken token)
        {
            deadline = milliseconds == 0 ? Default : TimeSpan.FromMilliseconds(milliseconds);
            cancellationToken = token;
            running.Start();
        }

        /// <summary>Non-zero ends the wait.</summary>
        internal int Update(Native.mfa_transaction* soFar)
        {
            try
            {
                progress!.Report(MfaTransaction.SoFar(soFar));
                return 0;
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                return 1;
            }
        }

        /// <summary>Null gives up. The text must outlast the return: libmfa copies it only then.</summary>
        internal IntPtr Token()
        {
            try
            {
                var left = deadline - running.Elapsed;
                tokenCameTooLate = !refreshAccessToken!.Get(left < TimeSpan.Zero ? TimeSpan.Zero : left, cancellationToken, out var token);
                return token == null ? IntPtr.Zero : freshTokens.Pin(freshTokens.Token(token, "refreshAccessToken"));
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                return IntPtr.Zero;
            }
        }

        /// <summary>
        /// Back on the caller's side. What a callback threw comes out, whatever the call came to, but for the caller's own
        /// cancel: that ends as any other cancel does, and an answer that has been read wins over it.
        /// </summary>
        internal void ThrowWhatACallbackThrew(int code, Native.mfa_error* error, MfaTransaction? known)
        {
            if (tokenCameTooLate && code != Native.MFA_OK && code != Native.MFA_ERR_CANCELLED)
            {
                throw MfaException.From(
                    MfaErrorCode.Timeout, "the deadline passed while refreshAccessToken ran", error, known);
            }
            if (failure == null)
            {
                return;
            }
            bool isOwnCancel = failure.SourceException is OperationCanceledException && cancellationToken.IsCancellationRequested;
            if (!isOwnCancel)
            {
                failure.Throw();
            }
            if (code != Native.MFA_OK)
            {
                var facts = MfaException.From(MfaErrorCode.Cancelled, "cancelled in a callback", error, known);
                throw new OperationCanceledException(facts.Message, facts, cancellationToken);
            }
        }

        public void Dispose()
        {
            if (self.IsAllocated)
            {
                self.Free();
            }
            freshTokens.Dispose();
        }
    }
}
