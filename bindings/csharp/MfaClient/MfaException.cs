using System;
using System.Threading;

namespace MfaClient
{
    /// <summary>
    /// Why a call failed: a network, an answer, a credential, a refusal; never what a person decided. A call that was
    /// cancelled throws <see cref="OperationCanceledException"/>, and one that was told what the library cannot use
    /// <see cref="ArgumentException"/>, each with one of these as its inner exception.
    /// </summary>
    public sealed class MfaException : Exception
    {
        /// <summary>As the calls throw it; for doubles in your tests too.</summary>
        /// <exception cref="ArgumentException">The transaction is approved: no error stands beside an approval.</exception>
        public MfaException(
            MfaErrorCode code,
            string message,
            MfaTransaction? transaction = null,
            bool isRetryable = false,
            bool outcomeUnknown = false,
            bool withdrawn = false,
            MfaProvider provider = MfaProvider.None,
            int? providerCode = null,
            int? httpStatus = null,
            TimeSpan? retryAfter = null,
            int attempts = 0,
            int? osError = null,
            Exception? innerException = null)
            : base(message, innerException)
        {
            if (transaction?.IsApproved == true)
            {
                throw new ArgumentException("No error stands beside an approval.", nameof(transaction));
            }
            Code = code;
            Transaction = transaction;
            IsRetryable = isRetryable;
            OutcomeUnknown = outcomeUnknown;
            Withdrawn = withdrawn;
            Provider = provider;
            ProviderCode = providerCode;
            HttpStatus = httpStatus;
            RetryAfter = retryAfter;
            Attempts = attempts;
            OsError = osError;
        }

        /// <summary>What happened; programs decide by it.</summary>
        public MfaErrorCode Code { get; }

        /// <summary>Whose call it was.</summary>
        public MfaProvider Provider { get; }

        /// <summary>The provider's own number; null: there is none.</summary>
        public int? ProviderCode { get; }

        /// <summary>The HTTP status of the answer that failed the call; null: no answer arrived.</summary>
        public int? HttpStatus { get; }

        /// <summary>How long the server asked to wait before the next request; null: it did not.</summary>
        public TimeSpan? RetryAfter { get; }

        /// <summary>The same call may succeed later, and repeating it does no harm.</summary>
        public bool IsRetryable { get; }

        /// <summary>A request that asks a person was sent, and may have been carried out: do not repeat it blindly, or the person is asked twice.</summary>
        public bool OutcomeUnknown { get; }

        /// <summary>The transaction was withdrawn, as <see cref="MfaWaitOptions"/> asked, and the provider confirmed it.</summary>
        public bool Withdrawn { get; }

        /// <summary>Requests that the call began.</summary>
        public int Attempts { get; }

        /// <summary>The system's error number where one was the cause; null: none.</summary>
        public int? OsError { get; }

        /// <summary>What was known of the transaction last, once it has an id; never an approval. It may still be running.</summary>
        public MfaTransaction? Transaction { get; }

        /// <summary>The code's name, what it means and what to do about it, and what happened this time.</summary>
        public override string ToString() =>
            $"{MfaLibrary.NameOf(Code)}: {MfaLibrary.MessageOf(Code)}{Environment.NewLine}{base.ToString()}";

        /// <summary>A code that is not "ok", as .NET programs expect it.</summary>
        internal static unsafe Exception For(
            int code, Native.mfa_error* error, MfaTransaction? known, CancellationToken cancellationToken)
        {
            string told = Utf8.Read(error->message, 256);
            var failure = From((MfaErrorCode)code, Names.InCSharp(told, error->provider), error, known);
            if (code == Native.MFA_ERR_CANCELLED && cancellationToken.IsCancellationRequested)
            {
                return new OperationCanceledException(failure.Message, failure, cancellationToken);
            }
            bool isUsage = code >= 1 && code <= 99 && code != Native.MFA_ERR_STRUCT_SIZE;
            return isUsage ? new ArgumentException(failure.Message, Names.Parameter(told, error->provider), failure) : failure;
        }

        internal static unsafe MfaException From(
            MfaErrorCode code, string message, Native.mfa_error* error, MfaTransaction? known) => new MfaException(
                code,
                message,
                known,
                (error->flags & Native.MFA_ERROR_RETRYABLE) != 0,
                (error->flags & Native.MFA_ERROR_OUTCOME_UNKNOWN) != 0,
                (error->flags & Native.MFA_ERROR_WITHDRAWN) != 0,
                (MfaProvider)error->provider,
                error->has_provider_code == 0 ? null : error->provider_code,
                error->http_status == 0 ? null : error->http_status,
                error->retry_after_ms == 0 ? null : TimeSpan.FromMilliseconds(error->retry_after_ms),
                Numbers.ToInt(error->attempts),
                error->os_error == 0 ? null : error->os_error);
    }

    /// <summary>Whose call it was. A newer library may return a value that this version has no name for.</summary>
    public enum MfaProvider
    {
        /// <summary>The error arose before one was chosen.</summary>
        None = Native.MFA_PROVIDER_NONE,

        /// <summary>HyperID.</summary>
        HyperId = Native.MFA_PROVIDER_HYPERID,

        /// <summary>Capillary.</summary>
        Capillary = Native.MFA_PROVIDER_CAPILLARY,
    }
}
