using System;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>
    /// A client for HyperID. Make one and keep it: it is safe to use from any number of threads at once, and holds
    /// open connections. Every call ends by its deadline at the latest. It throws <see cref="MfaException"/> when something
    /// went wrong, <see cref="ArgumentException"/> when it was told something that it cannot use,
    /// <see cref="OperationCanceledException"/> when its token was cancelled, and <see cref="ObjectDisposedException"/> after
    /// <see cref="Dispose"/>.
    /// </summary>
    /// <remarks>
    /// <para>Each call takes: an access token of 1 to 16,384 characters; a timeout, the deadline of the whole call, null for
    /// the client's <see cref="MfaClientOptions.RequestTimeout"/> or, to wait and to confirm, 120 seconds; and a
    /// cancellation token, which ends the call within 50 milliseconds, or 2 seconds where
    /// <see cref="MfaWaitOptions.WithdrawOnCancel"/> asks to withdraw the request first.</para>
    /// <para>A call takes what it is given before its method returns: a request, options or a list may be used and changed
    /// again at once, also while an asynchronous call runs, and the client may be disposed. What a call cannot use is
    /// thrown by the method itself, but for what only the library knows (that a control code is two digits, that a text is
    /// JSON): that comes out of the task, as the same exception.</para>
    /// <para>A call that was cancelled throws an <see cref="OperationCanceledException"/> with your token, whose inner
    /// exception is an <see cref="MfaException"/> with the facts (the transaction's id, whether the outcome is unknown); if
    /// the token was cancelled before the call, there are none, and nothing was sent. Await the task to see it:
    /// Task.Result and Task.Wait lose a cancelled task's exception. A call whose answer had been read already, or that
    /// withdrew and found a decision, returns it, although it was cancelled.</para>
    /// <para>Threads: <see cref="ConfirmAsync"/> and <see cref="WaitAsync"/> take one thread for all of a client's, thousands
    /// as well as one; it begins with the first and ends with the last, and no code of yours runs on it but
    /// <see cref="MfaClientOptions.Log"/>. The other asynchronous methods take a thread each for their one exchange. When the
    /// program ends, or the domain of this assembly is unloaded, asynchronous waits that are pending end with an
    /// <see cref="MfaException"/>, <see cref="MfaErrorCode.Cancelled"/>; where <see cref="MfaWaitOptions.WithdrawOnCancel"/> is set
    /// they are withdrawn first, which holds up the end for 2.5 seconds at most for each client. An AssemblyLoadContext unloads after its
    /// waits. Blocking calls on background threads just stop, as those threads do.</para>
    /// <para>For your tests, derive from this class and override what they need; what is not overridden throws
    /// <see cref="InvalidOperationException"/>.</para>
    /// </remarks>
    public class HyperIdClient : IDisposable
    {
        private readonly HyperIdHandle? handle;
        private volatile bool disposed;

        /// <summary>Makes a client. Nothing is sent.</summary>
        /// <param name="options">Null: the defaults, HyperID's production among them.</param>
        /// <exception cref="ArgumentException">An option is not allowed.</exception>
        /// <exception cref="MfaException">The system refused what a client needs.</exception>
        /// <exception cref="DllNotFoundException">The native library was not found, or does not fit this binding.</exception>
        public HyperIdClient(MfaClientOptions? options = null)
        {
            options ??= new MfaClientOptions();
            handle = MfaClientOptions.Open(options, new HyperIdHandle(options.ForWaits(nameof(options))));
        }

        /// <summary>For a double of it in your tests: without the native library, and only as good as what it overrides.</summary>
        protected HyperIdClient()
        {
        }

        /// <summary>Closes the connections, as soon as no call uses the client any more. Returns at once: calls go on to their own ends.</summary>
        public virtual void Dispose()
        {
            disposed = true;
            handle?.Dispose();
            GC.SuppressFinalize(this);
        }

        /// <summary>The bare handle would still serve new calls as long as an old one holds it open.</summary>
        private HyperIdHandle Open =>
            handle == null ? throw Double.NotOverridden(GetType())
            : disposed ? throw new ObjectDisposedException(nameof(HyperIdClient))
            : handle;

        /// <summary>For tests.</summary>
        internal WaiterHandle? Waiter => handle?.Waits.Waiter;

        /// <summary>Whether the person has linked the authenticator app and so may be asked. It approves nothing.</summary>
        public virtual bool IsAvailable(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.IsAvailable(Open, accessToken, timeout, cancellationToken).Run();

        /// <inheritdoc cref="IsAvailable"/>
        public virtual Task<bool> IsAvailableAsync(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.IsAvailable(Open, accessToken, timeout, cancellationToken).RunAsync();

        /// <summary>Which second factors the person has set up.</summary>
        public virtual TwoFactorTypes GetTwoFactorTypes(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.GetTwoFactorTypes(Open, accessToken, timeout, cancellationToken).Run();

        /// <inheritdoc cref="GetTwoFactorTypes"/>
        public virtual Task<TwoFactorTypes> GetTwoFactorTypesAsync(
            string accessToken, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.GetTwoFactorTypes(Open, accessToken, timeout, cancellationToken).RunAsync();

        /// <summary>Asks the person: a push to their phone. Returns the transaction's id.</summary>
        /// <exception cref="MfaException">With <see cref="MfaException.OutcomeUnknown"/> the person may have been asked all the same.</exception>
        public virtual long Start(
            string accessToken, MfaRequest request, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.Start(Open, accessToken, request, timeout, cancellationToken).Run();

        /// <inheritdoc cref="Start"/>
        public virtual Task<long> StartAsync(
            string accessToken, MfaRequest request, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.Start(Open, accessToken, request, timeout, cancellationToken).RunAsync();

        /// <summary>Reads a transaction's state once, for programs that poll in a loop of their own.</summary>
        public virtual MfaTransaction GetStatus(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.GetStatus(Open, accessToken, transactionId, timeout, cancellationToken).Run();

        /// <inheritdoc cref="GetStatus"/>
        public virtual Task<MfaTransaction> GetStatusAsync(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.GetStatus(Open, accessToken, transactionId, timeout, cancellationToken).RunAsync();

        /// <summary>Cancels a transaction.</summary>
        /// <exception cref="MfaException"><see cref="MfaErrorCode.AlreadyCompleted"/>: the person answered first; read the status, do not drop it.</exception>
        public virtual void Cancel(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.Cancel(Open, accessToken, transactionId, timeout, cancellationToken).Run();

        /// <inheritdoc cref="Cancel"/>
        public virtual Task CancelAsync(
            string accessToken, long transactionId, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
            HyperIdCalls.Cancel(Open, accessToken, transactionId, timeout, cancellationToken).RunAsync();

        /// <summary>Waits until the person has answered, or the request has ended otherwise. The answer may be "no".</summary>
        /// <param name="accessToken">See the remarks on <see cref="HyperIdClient"/>.</param>
        /// <param name="transactionId">As <see cref="Start"/> returned it.</param>
        /// <param name="wait">Null: the defaults.</param>
        /// <param name="progress">
        /// Called after each poll: on the caller's thread, or, where the call is asynchronous, in the caller's execution context
        /// on a thread of the pool, and perhaps only for the newest of several. The call completes when it has returned; what
        /// it throws ends the wait and reaches the caller.
        /// </param>
        /// <param name="refreshAccessToken">
        /// Called when the server refused the token as expired or invalid: returns a fresh one of the same person, or null
        /// to give up. On the caller's thread, or, where the call is asynchronous, in the caller's execution context on a
        /// thread of the pool, with a token that is cancelled when the call ends; then the deadline is kept whatever it does.
        /// A fresh one that is refused, too, ends the wait. What it throws ends the wait and reaches the caller.
        /// </param>
        /// <param name="timeout">Null: see the remarks on <see cref="HyperIdClient"/>.</param>
        /// <param name="cancellationToken">Ends the wait; the transaction goes on, unless <see cref="MfaWaitOptions.WithdrawOnCancel"/> is set.</param>
        public virtual MfaTransaction Wait(
            string accessToken,
            long transactionId,
            MfaWaitOptions? wait = null,
            IProgress<MfaTransaction>? progress = null,
            Func<string?>? refreshAccessToken = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            HyperIdCalls.Wait(
                Open, accessToken, transactionId, wait, progress, refreshAccessToken, timeout, cancellationToken).Run();

        /// <inheritdoc cref="Wait"/>
        public virtual Task<MfaTransaction> WaitAsync(
            string accessToken,
            long transactionId,
            MfaWaitOptions? wait = null,
            IProgress<MfaTransaction>? progress = null,
            Func<CancellationToken, Task<string?>>? refreshAccessToken = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            HyperIdCalls.WaitAsync(
                Open, accessToken, transactionId, wait, progress, refreshAccessToken, timeout, cancellationToken);

        /// <summary>
        /// The whole story in one call: whether the person may be asked, asking, and waiting for the answer, which may
        /// be "no": grant on <see cref="MfaTransaction.IsApproved"/> and on nothing else.
        /// </summary>
        /// <param name="accessToken">See the remarks on <see cref="HyperIdClient"/>.</param>
        /// <param name="request">What to ask.</param>
        /// <param name="wait">Null: the defaults.</param>
        /// <param name="progress">
        /// Called as soon as the id is known, which is the moment to save it, and after each poll: on the caller's thread, or,
        /// where the call is asynchronous, in the caller's execution context on a thread of the pool, and perhaps only for the
        /// newest of several. The call completes when it has returned; what it throws ends the wait and reaches the caller.
        /// </param>
        /// <param name="refreshAccessToken">
        /// Called when the server refused the token as expired or invalid: returns a fresh one of the same person, or null
        /// to give up. On the caller's thread, or, where the call is asynchronous, in the caller's execution context on a
        /// thread of the pool, with a token that is cancelled when the call ends; then the deadline is kept whatever it does.
        /// A fresh one that is refused, too, ends the wait. What it throws ends the wait and reaches the caller.
        /// </param>
        /// <param name="timeout">Null: see the remarks on <see cref="HyperIdClient"/>.</param>
        /// <param name="cancellationToken">Ends the call; a started transaction goes on, unless <see cref="MfaWaitOptions.WithdrawOnCancel"/> is set.</param>
        public virtual MfaTransaction Confirm(
            string accessToken,
            MfaRequest request,
            MfaWaitOptions? wait = null,
            IProgress<MfaTransaction>? progress = null,
            Func<string?>? refreshAccessToken = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            HyperIdCalls.Confirm(
                Open, accessToken, request, wait, progress, refreshAccessToken, timeout, cancellationToken).Run();

        /// <inheritdoc cref="Confirm"/>
        public virtual Task<MfaTransaction> ConfirmAsync(
            string accessToken,
            MfaRequest request,
            MfaWaitOptions? wait = null,
            IProgress<MfaTransaction>? progress = null,
            Func<CancellationToken, Task<string?>>? refreshAccessToken = null,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            HyperIdCalls.ConfirmAsync(
                Open, accessToken, request, wait, progress, refreshAccessToken, timeout, cancellationToken);
    }

    internal static class Double
    {
        internal static InvalidOperationException NotOverridden(Type type) => new InvalidOperationException(
            $"{type.Name} was made without a client of its own, for a test, and does not override this member.");
    }
}
