using System;

namespace MfaClient
{
    /// <summary>
    /// What is known of a transaction at one moment. It has no truth value: ask <see cref="IsApproved"/>. Programs cannot
    /// make one; the package MfaClient.Testing can, for tests.
    /// </summary>
    public sealed class MfaTransaction
    {
        internal MfaTransaction(
            bool isApproved, MfaDecision decision, long id, int? rawStatus, int? rawCompleteResult, int polls, TimeSpan elapsed)
        {
            IsApproved = isApproved;
            Decision = decision;
            Id = id;
            RawStatus = rawStatus;
            RawCompleteResult = rawCompleteResult;
            Polls = polls;
            Elapsed = elapsed;
        }

        /// <summary>
        /// Whether the person approved, by the library's own test. The only property that should open a door, and true
        /// only on what a call returned: not in a progress report, nor in an exception.
        /// </summary>
        public bool IsApproved { get; }

        /// <summary>What the person decided.</summary>
        public MfaDecision Decision { get; }

        /// <summary>The transaction's id; 0: none is known.</summary>
        public long Id { get; }

        /// <summary>The server's transaction_status; null: it sent none.</summary>
        public int? RawStatus { get; }

        /// <summary>The server's transaction_complete_result; null: it sent none. It has meaning only beside status 1: never decide by it.</summary>
        public int? RawCompleteResult { get; }

        /// <summary>How often the call asked for the state.</summary>
        public int Polls { get; }

        /// <summary>How long after the call began this was known.</summary>
        public TimeSpan Elapsed { get; }

        /// <summary>For logs and developers.</summary>
        public override string ToString() => $"transaction {Id}: {Decision}";

        /// <summary>Approved by the code that the call returned, and by nothing else.</summary>
        internal static unsafe MfaTransaction OfCall(int code, Native.mfa_transaction* native) =>
            From(Native.mfa_is_approved(code, native) == 1, native);

        /// <summary>Approved by the event that ended a wait, and by nothing else.</summary>
        internal static unsafe MfaTransaction OfEvent(Native.mfa_event* happened, Native.mfa_transaction* native) =>
            From(Native.mfa_event_is_approved(happened, native) == 1, native);

        /// <summary>The final answer as a progress report tells it: only what the call returns is an approval.</summary>
        internal MfaTransaction AsReport() => new MfaTransaction(false, Decision, Id, RawStatus, RawCompleteResult, Polls, Elapsed);

        /// <summary>As a callback sees it: the call has not returned a code yet, so there is no approval either.</summary>
        internal static unsafe MfaTransaction SoFar(Native.mfa_transaction* native) => From(false, native);

        private static unsafe MfaTransaction From(bool isApproved, Native.mfa_transaction* native) => new MfaTransaction(
            isApproved,
            (MfaDecision)native->decision,
            native->transaction_id,
            native->raw_status < 0 ? null : native->raw_status,
            native->raw_complete_result < 0 ? null : native->raw_complete_result,
            Numbers.ToInt(native->polls),
            TimeSpan.FromMilliseconds(native->elapsed_ms));
    }

    /// <summary>What a person decided. A newer library may return a value that this version has no name for: not an approval.</summary>
    public enum MfaDecision
    {
        /// <summary>No answer has been read.</summary>
        None = Native.MFA_DECISION_NONE,

        /// <summary>The person approved. Test it with <see cref="MfaTransaction.IsApproved"/>.</summary>
        Approved = Native.MFA_DECISION_APPROVED,

        /// <summary>The person refused.</summary>
        Denied = Native.MFA_DECISION_DENIED,

        /// <summary>The request expired before the person answered.</summary>
        Expired = Native.MFA_DECISION_EXPIRED,

        /// <summary>The request was cancelled, or declined without an answer.</summary>
        Cancelled = Native.MFA_DECISION_CANCELLED,

        /// <summary>The request failed.</summary>
        Failed = Native.MFA_DECISION_FAILED,

        /// <summary>The person has not answered yet.</summary>
        Pending = Native.MFA_DECISION_PENDING,

        /// <summary>The server sent a state that this version does not know. Not an approval.</summary>
        Unknown = Native.MFA_DECISION_UNKNOWN,
    }
}
