using System;

namespace MfaClient
{
    /// <summary>
    /// Why a call failed: a network, an answer, a credential, a refusal; never what a person decided. A call that was
    /// cancelled throws <see cref="OperationCanceledException"/>, with one of these as its inner exception.
    /// </summary>
    public sealed class MfaException : Exception
    {
        internal unsafe MfaException(int code, Native.mfa_error* error, Transaction? transaction)
            : base(Utf8.Read(error->message, 256))
        {
            Code = (MfaCode)code;
            Provider = (MfaProvider)error->provider;
            ProviderCode = error->has_provider_code == 0 ? null : error->provider_code;
            HttpStatus = error->http_status == 0 ? null : error->http_status;
            RetryAfter = error->retry_after_ms == 0 ? null : TimeSpan.FromMilliseconds(error->retry_after_ms);
            IsRetryable = (error->flags & Native.MFA_ERROR_RETRYABLE) != 0;
            OutcomeUnknown = (error->flags & Native.MFA_ERROR_OUTCOME_UNKNOWN) != 0;
            Withdrawn = (error->flags & Native.MFA_ERROR_WITHDRAWN) != 0;
            Attempts = error->attempts;
            OsError = error->os_error == 0 ? null : error->os_error;
            Transaction = transaction;
        }

        /// <summary>What happened; programs decide by it.</summary>
        public MfaCode Code { get; }

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

        /// <summary>The transaction was withdrawn, as <see cref="WaitOptions"/> asked, and the provider confirmed it.</summary>
        public bool Withdrawn { get; }

        /// <summary>Requests that the call began.</summary>
        public long Attempts { get; }

        /// <summary>The system's error number where one was the cause; null: none.</summary>
        public int? OsError { get; }

        /// <summary>What was known of the transaction last, once it has an id; never an approval. It may still be running.</summary>
        public Transaction? Transaction { get; }

        /// <summary>The code's name, what it means and what to do about it, and what happened this time.</summary>
        public override string ToString() =>
            $"{MfaLibrary.NameOf(Code)}: {MfaLibrary.MessageOf(Code)}{Environment.NewLine}{base.ToString()}";
    }

    /// <summary>Whose call it was.</summary>
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
