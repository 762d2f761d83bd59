using System;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace MfaClient
{
    /// <summary>The caller's side of a blocking wait: what its callbacks need, and what went wrong in them.</summary>
    internal sealed unsafe class Waiting : IDisposable
    {
        private readonly IProgress<MfaTransaction>? progress;
        private readonly Func<string?>? refreshAccessToken;
        private readonly CancellationToken cancellationToken;
        private readonly Texts freshTokens = new Texts();
        private GCHandle self;
        private ExceptionDispatchInfo? failure;

        internal Waiting(
            IProgress<MfaTransaction>? progress, Func<string?>? refreshAccessToken, CancellationToken cancellationToken)
        {
            this.progress = progress;
            this.refreshAccessToken = refreshAccessToken;
            this.cancellationToken = cancellationToken;
        }

        internal Native.mfa_wait_options ToNative(MfaWaitOptions? wait)
        {
            var native = MfaWaitOptions.ToNative(wait);
            self = GCHandle.Alloc(this);
            native.on_update = progress == null ? IntPtr.Zero : Callbacks.Update;
            native.on_update_user_data = GCHandle.ToIntPtr(self);
            native.access_token_provider = refreshAccessToken == null ? IntPtr.Zero : Callbacks.Token;
            native.access_token_provider_user_data = GCHandle.ToIntPtr(self);
            return native;
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
                string? token = refreshAccessToken!();
                return token == null ? IntPtr.Zero : freshTokens.Pin(freshTokens.Token(token, nameof(refreshAccessToken)));
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
