using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>
    /// A client for HyperID. Make one and keep it: it is safe to use from any number of threads at once, and holds
    /// open connections. Every call blocks until its deadline at most; the asynchronous ones block a thread of their
    /// own. A call throws <see cref="MfaException"/> when something went wrong, <see cref="OperationCanceledException"/>
    /// when its token was cancelled, and <see cref="ObjectDisposedException"/> after <see cref="Dispose"/>.
    /// </summary>
    /// <remarks>
    /// Each call takes: an access token of 1 to 16,384 characters; a timeout, the deadline of the whole call, null for
    /// the client's <see cref="MfaClientOptions.RequestTimeout"/> or, to wait and to confirm, 120 seconds; and a
    /// cancellation token, which ends the call within 50 milliseconds, or 2 seconds where
    /// <see cref="WaitOptions.WithdrawOnCancel"/> asks to withdraw the request first.
    /// </remarks>
    public sealed unsafe class HyperIdClient : IDisposable
    {
        private readonly HyperIdHandle handle;
        private volatile bool disposed;

        /// <summary>Makes a client. Nothing is sent.</summary>
        /// <param name="options">Null: the defaults, HyperID's production among them.</param>
        /// <exception cref="MfaException">An option is not allowed.</exception>
        /// <exception cref="DllNotFoundException">The native library was not found, or does not fit this binding.</exception>
        public HyperIdClient(MfaClientOptions? options = null)
        {
            handle = MfaClientOptions.Open(options, new HyperIdHandle(), Native.mfa_hyperid_new);
        }

        /// <summary>Closes the connections, as soon as no call uses the client any more.</summary>
        public void Dispose()
        {
            disposed = true;
            handle.Dispose();
        }

        /// <summary>The bare handle would still serve new calls as long as an old one holds it open.</summary>
        private HyperIdHandle Open => disposed ? throw new ObjectDisposedException(nameof(HyperIdClient)) : handle;

        /// <summary>Whether the person has linked the authenticator app and so may be asked. It approves nothing.</summary>
        public bool IsAvailable(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            var empty = new Native.mfa_availability { struct_size = (uint)sizeof(Native.mfa_availability) };
            return Call.Run(empty, timeout, cancellationToken, (options, answer, error) =>
                Native.mfa_hyperid_availability(Open, token!, options, answer, error)).available == 1;
        }

        /// <inheritdoc cref="IsAvailable"/>
        public Task<bool> IsAvailableAsync(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(() => IsAvailable(accessToken, timeout, cancellationToken), cancellationToken);

        /// <summary>Which second factors the person has set up.</summary>
        public TwoFactorTypes GetTwoFactorTypes(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            var empty = new Native.mfa_two_factor_types { struct_size = (uint)sizeof(Native.mfa_two_factor_types) };
            return new TwoFactorTypes(Call.Run(empty, timeout, cancellationToken, (options, answer, error) =>
                Native.mfa_hyperid_two_factor_types(Open, token!, options, answer, error)));
        }

        /// <inheritdoc cref="GetTwoFactorTypes"/>
        public Task<TwoFactorTypes> GetTwoFactorTypesAsync(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(() => GetTwoFactorTypes(accessToken, timeout, cancellationToken), cancellationToken);

        /// <summary>Asks the person: a push to their phone. Returns the transaction's id.</summary>
        /// <exception cref="MfaException">With <see cref="MfaException.OutcomeUnknown"/> the person may have been asked all the same.</exception>
        public long Start(
            string accessToken, MfaRequest request, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            var asked = (request ?? throw new ArgumentNullException(nameof(request))).ToNative(texts);
            return Call.Run(0L, timeout, cancellationToken, (options, id, error) =>
            {
                var native = asked;
                return Native.mfa_hyperid_start(Open, token!, &native, options, out *id, error);
            });
        }

        /// <inheritdoc cref="Start"/>
        public Task<long> StartAsync(
            string accessToken, MfaRequest request, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(() => Start(accessToken, request, timeout, cancellationToken), cancellationToken);

        /// <summary>Reads a transaction's state once, for programs that poll in a loop of their own.</summary>
        public Transaction GetStatus(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            return RunForTransaction(timeout, cancellationToken, (options, answer, error) =>
                Native.mfa_hyperid_status(Open, token!, transactionId, options, answer, error));
        }

        /// <inheritdoc cref="GetStatus"/>
        public Task<Transaction> GetStatusAsync(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(() => GetStatus(accessToken, transactionId, timeout, cancellationToken), cancellationToken);

        /// <summary>Cancels a transaction.</summary>
        /// <exception cref="MfaException"><see cref="MfaCode.AlreadyCompleted"/>: the person answered first; read the status, do not drop it.</exception>
        public void Cancel(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            Call.Run(0, timeout, cancellationToken, (options, _, error) =>
                Native.mfa_hyperid_cancel(Open, token!, transactionId, options, error));
        }

        /// <inheritdoc cref="Cancel"/>
        public Task CancelAsync(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(
                () =>
                {
                    Cancel(accessToken, transactionId, timeout, cancellationToken);
                    return true;
                },
                cancellationToken);

        /// <summary>Waits until the person has answered, or the request has ended otherwise. The answer may be "no".</summary>
        /// <param name="accessToken">See the remarks on <see cref="HyperIdClient"/>.</param>
        /// <param name="transactionId">As <see cref="Start"/> returned it.</param>
        /// <param name="wait">Null: the defaults.</param>
        /// <param name="progress">Called after each poll, on the thread of the call. What it throws ends the wait and reaches the caller.</param>
        /// <param name="timeout">Null: 120 seconds.</param>
        /// <param name="cancellationToken">Ends the wait. The transaction goes on, unless <see cref="WaitOptions.WithdrawOnCancel"/> is set.</param>
        public Transaction Wait(
            string accessToken,
            long transactionId,
            WaitOptions? wait = null,
            IProgress<Transaction>? progress = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            using var waiting = new Waiting(wait, progress);
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            return RunForTransaction(timeout, cancellationToken, (options, answer, error) =>
            {
                var how = waiting.ToNative();
                return waiting.Ended(
                    Native.mfa_hyperid_wait(Open, token!, transactionId, &how, options, answer, error));
            });
        }

        /// <inheritdoc cref="Wait"/>
        public Task<Transaction> WaitAsync(
            string accessToken,
            long transactionId,
            WaitOptions? wait = null,
            IProgress<Transaction>? progress = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(
                () => Wait(accessToken, transactionId, wait, progress, timeout, cancellationToken), cancellationToken);

        /// <summary>
        /// The whole story in one call: whether the person may be asked, asking, and waiting for the answer, which may
        /// be "no": grant on <see cref="Transaction.IsApproved"/> and on nothing else.
        /// </summary>
        /// <param name="accessToken">See the remarks on <see cref="HyperIdClient"/>.</param>
        /// <param name="request">What to ask.</param>
        /// <param name="wait">Null: the defaults.</param>
        /// <param name="progress">Called as soon as the id is known and after each poll, on the thread of the call. What it throws ends the wait and reaches the caller.</param>
        /// <param name="timeout">Null: 120 seconds.</param>
        /// <param name="cancellationToken">Ends the call. A started transaction goes on, unless <see cref="WaitOptions.WithdrawOnCancel"/> is set.</param>
        public Transaction Confirm(
            string accessToken,
            MfaRequest request,
            WaitOptions? wait = null,
            IProgress<Transaction>? progress = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            using var waiting = new Waiting(wait, progress);
            byte[]? token = texts.Bytes(accessToken, nameof(accessToken));
            var asked = (request ?? throw new ArgumentNullException(nameof(request))).ToNative(texts);
            return RunForTransaction(timeout, cancellationToken, (options, answer, error) =>
            {
                var (native, how) = (asked, waiting.ToNative());
                return waiting.Ended(
                    Native.mfa_hyperid_confirm(Open, token!, &native, &how, options, answer, error));
            });
        }

        /// <inheritdoc cref="Confirm"/>
        public Task<Transaction> ConfirmAsync(
            string accessToken,
            MfaRequest request,
            WaitOptions? wait = null,
            IProgress<Transaction>? progress = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(
                () => Confirm(accessToken, request, wait, progress, timeout, cancellationToken), cancellationToken);

        private static Transaction RunForTransaction(
            TimeSpan? timeout, CancellationToken cancellationToken, Call.Invocation<Native.mfa_transaction> invoke)
        {
            var empty = new Native.mfa_transaction { struct_size = (uint)sizeof(Native.mfa_transaction) };
            var answer = Call.Run(empty, timeout, cancellationToken, invoke);
            return Transaction.OfCall(Native.MFA_OK, &answer);
        }
    }

    /// <summary>The second factors that a person has set up.</summary>
    public sealed class TwoFactorTypes
    {
        internal unsafe TwoFactorTypes(Native.mfa_two_factor_types native)
        {
            Methods = (TwoFactorMethods)native.methods;
            Count = native.count;
            int[] raw = new int[Math.Min(native.count, 16)];
            for (int i = 0; i < raw.Length; i++)
            {
                raw[i] = native.raw[i];
            }
            Raw = raw;
        }

        /// <summary>Their names, inferred from the provider's tables; <see cref="Raw"/> is what the server said.</summary>
        public TwoFactorMethods Methods { get; }

        /// <summary>How many the server listed; may exceed 16.</summary>
        public long Count { get; }

        /// <summary>The server's own numbers, in its order: the first 16.</summary>
        public IReadOnlyList<int> Raw { get; }
    }

    /// <summary>Second factors.</summary>
    [Flags]
    public enum TwoFactorMethods
    {
        /// <summary>None.</summary>
        None = 0,

        /// <summary>The Authenticator app.</summary>
        App = Native.MFA_METHOD_APP,

        /// <summary>A one-time password from an app.</summary>
        Totp = Native.MFA_METHOD_TOTP,

        /// <summary>A code by SMS.</summary>
        Sms = Native.MFA_METHOD_SMS,

        /// <summary>A code by e-mail.</summary>
        Email = Native.MFA_METHOD_EMAIL,

        /// <summary>A number that this version has no name for; see <see cref="TwoFactorTypes.Raw"/>.</summary>
        Other = Native.MFA_METHOD_OTHER,
    }
}
