using System;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>HyperID's calls: what each of them takes, and how it is handed over.</summary>
    internal static unsafe class HyperIdCalls
    {
        internal static Call<bool> IsAvailable(
            HyperIdHandle client, string accessToken, TimeSpan? timeout, CancellationToken cancellationToken) =>
            new Call<bool>(client, timeout, cancellationToken, null, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                return (Native.mfa_call_options* options, Native.mfa_error* error, out bool answer) =>
                {
                    var native = Native.mfa_availability.Initial;
                    int code = Native.mfa_hyperid_availability(client, token, options, &native, error);
                    answer = native.available == 1;
                    return code;
                };
            });

        internal static Call<TwoFactorTypes> GetTwoFactorTypes(
            HyperIdHandle client, string accessToken, TimeSpan? timeout, CancellationToken cancellationToken) =>
            new Call<TwoFactorTypes>(client, timeout, cancellationToken, null, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                return (Native.mfa_call_options* options, Native.mfa_error* error, out TwoFactorTypes answer) =>
                {
                    var native = Native.mfa_two_factor_types.Initial;
                    int code = Native.mfa_hyperid_two_factor_types(client, token, options, &native, error);
                    answer = TwoFactorTypes.From(&native);
                    return code;
                };
            });

        internal static Call<long> Start(
            HyperIdHandle client, string accessToken, MfaRequest request, TimeSpan? timeout, CancellationToken cancellationToken) =>
            new Call<long>(client, timeout, cancellationToken, null, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                var asked = MfaRequest.ToNative(request, texts);
                return (Native.mfa_call_options* options, Native.mfa_error* error, out long answer) =>
                {
                    var native = asked;
                    return Native.mfa_hyperid_start(client, token, &native, options, out answer, error);
                };
            });

        internal static Call<MfaTransaction> GetStatus(
            HyperIdHandle client, string accessToken, long transactionId, TimeSpan? timeout, CancellationToken cancellationToken) =>
            new Call<MfaTransaction>(client, timeout, cancellationToken, null, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                long id = Id(transactionId);
                return (Native.mfa_call_options* options, Native.mfa_error* error, out MfaTransaction answer) =>
                {
                    var native = Native.mfa_transaction.Initial;
                    int code = Native.mfa_hyperid_status(client, token, id, options, &native, error);
                    answer = MfaTransaction.OfCall(code, &native);
                    return code;
                };
            });

        internal static Call<bool> Cancel(
            HyperIdHandle client, string accessToken, long transactionId, TimeSpan? timeout, CancellationToken cancellationToken) =>
            new Call<bool>(client, timeout, cancellationToken, null, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                long id = Id(transactionId);
                return (Native.mfa_call_options* options, Native.mfa_error* error, out bool done) =>
                {
                    done = true;
                    return Native.mfa_hyperid_cancel(client, token, id, options, error);
                };
            });

        internal static Call<MfaTransaction> Wait(
            HyperIdHandle client,
            string accessToken,
            long transactionId,
            MfaWaitOptions? wait,
            IProgress<MfaTransaction>? progress,
            Func<string?>? refreshAccessToken,
            TimeSpan? timeout,
            CancellationToken cancellationToken)
        {
            var waiting = new Waiting(progress, refreshAccessToken, cancellationToken);
            return new Call<MfaTransaction>(client, timeout, cancellationToken, waiting, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                long id = Id(transactionId);
                var how = waiting.ToNative(wait);
                return (Native.mfa_call_options* options, Native.mfa_error* error, out MfaTransaction answer) =>
                {
                    var native = Native.mfa_transaction.Initial;
                    var nativeWait = how;
                    int code = Native.mfa_hyperid_wait(client, token, id, &nativeWait, options, &native, error);
                    answer = MfaTransaction.OfCall(code, &native);
                    return code;
                };
            });
        }

        internal static Call<MfaTransaction> Confirm(
            HyperIdHandle client,
            string accessToken,
            MfaRequest request,
            MfaWaitOptions? wait,
            IProgress<MfaTransaction>? progress,
            Func<string?>? refreshAccessToken,
            TimeSpan? timeout,
            CancellationToken cancellationToken)
        {
            var waiting = new Waiting(progress, refreshAccessToken, cancellationToken);
            return new Call<MfaTransaction>(client, timeout, cancellationToken, waiting, texts =>
            {
                byte[] token = texts.Token(accessToken, nameof(accessToken));
                var asked = MfaRequest.ToNative(request, texts);
                var how = waiting.ToNative(wait);
                return (Native.mfa_call_options* options, Native.mfa_error* error, out MfaTransaction answer) =>
                {
                    var native = Native.mfa_transaction.Initial;
                    var (nativeRequest, nativeWait) = (asked, how);
                    int code = Native.mfa_hyperid_confirm(
                        client, token, &nativeRequest, &nativeWait, options, &native, error);
                    answer = MfaTransaction.OfCall(code, &native);
                    return code;
                };
            });
        }

        internal static Task<MfaTransaction> WaitAsync(
            HyperIdHandle client,
            string accessToken,
            long transactionId,
            MfaWaitOptions? wait,
            IProgress<MfaTransaction>? progress,
            Func<CancellationToken, Task<string?>>? refreshAccessToken,
            TimeSpan? timeout,
            CancellationToken cancellationToken)
        {
            using var texts = new Texts();
            var options = Native.mfa_call_options.Initial;
            options.timeout_ms = Time.Milliseconds(timeout, nameof(timeout));
            byte[] token = texts.Token(accessToken, nameof(accessToken));
            long id = Id(transactionId);
            var how = MfaWaitOptions.ToNative(wait, progress != null, refreshAccessToken != null, out bool withdraws);
            int Add(WaiterHandle waiter, IntPtr userData, out ulong number, Native.mfa_error* error)
            {
                var (nativeWait, nativeOptions) = (how, options);
                return Native.mfa_waiter_wait(waiter, token, id, &nativeWait, &nativeOptions, userData, out number, error);
            }
            return Follow(client, new Ticket(mayAsk: false, withdraws, cancellationToken), Add, progress, refreshAccessToken);
        }

        internal static Task<MfaTransaction> ConfirmAsync(
            HyperIdHandle client,
            string accessToken,
            MfaRequest request,
            MfaWaitOptions? wait,
            IProgress<MfaTransaction>? progress,
            Func<CancellationToken, Task<string?>>? refreshAccessToken,
            TimeSpan? timeout,
            CancellationToken cancellationToken)
        {
            using var texts = new Texts();
            var options = Native.mfa_call_options.Initial;
            options.timeout_ms = Time.Milliseconds(timeout, nameof(timeout));
            byte[] token = texts.Token(accessToken, nameof(accessToken));
            var asked = MfaRequest.ToNative(request, texts);
            var how = MfaWaitOptions.ToNative(wait, progress != null, refreshAccessToken != null, out bool withdraws);
            int Add(WaiterHandle waiter, IntPtr userData, out ulong number, Native.mfa_error* error)
            {
                var (nativeRequest, nativeWait, nativeOptions) = (asked, how, options);
                return Native.mfa_waiter_confirm(
                    waiter, token, &nativeRequest, &nativeWait, &nativeOptions, userData, out number, error);
            }
            return Follow(client, new Ticket(mayAsk: true, withdraws, cancellationToken), Add, progress, refreshAccessToken);
        }

        /// <summary>All is checked. What goes wrong from here on comes out of the task.</summary>
        private static Task<MfaTransaction> Follow(
            HyperIdHandle client,
            Ticket ticket,
            Waits.Addition add,
            IProgress<MfaTransaction>? progress,
            Func<CancellationToken, Task<string?>>? refreshAccessToken)
        {
            if (ticket.CancellationToken.IsCancellationRequested)
            {
                return Task.FromCanceled<MfaTransaction>(ticket.CancellationToken);
            }
            var ended = new Following(ticket, progress, refreshAccessToken).ToTheEnd();
            try
            {
                client.Waits.Add(ticket, add);
            }
            catch (Exception e)
            {
                ticket.Post(Happening.Broken(e))?.Invoke();
                return ended;
            }
            ticket.Watch();
            return ended;
        }

        private static long Id(long transactionId) => transactionId > 0
            ? transactionId
            : throw new ArgumentOutOfRangeException(nameof(transactionId), transactionId, "A transaction's id is above zero.");
    }
}
