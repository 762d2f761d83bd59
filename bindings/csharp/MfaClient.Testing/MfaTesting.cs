using System;

namespace MfaClient.Testing
{
    /// <summary>
    /// Makes the answers that calls return, for doubles of the clients in your tests. The package MfaClient alone cannot, so
    /// that no program approves by mistake. None of it needs the native library.
    /// </summary>
    public static class MfaTesting
    {
        /// <summary>What a call returns. It is approved if the decision is <see cref="MfaDecision.Approved"/>.</summary>
        public static MfaTransaction Transaction(long id, MfaDecision decision) =>
            Made(id, decision, isAnswer: true);

        /// <summary>What a progress report tells, or an exception carries: never an approval.</summary>
        public static MfaTransaction SoFar(long id, MfaDecision decision) => Made(id, decision, isAnswer: false);

        /// <summary>What GetTwoFactorTypes returns.</summary>
        /// <param name="methods">Their names.</param>
        /// <param name="raw">The server's own numbers.</param>
        public static TwoFactorTypes TwoFactorTypes(TwoFactorMethods methods, params int[] raw)
        {
            if (raw == null)
            {
                throw new ArgumentNullException(nameof(raw));
            }
            return new TwoFactorTypes(methods, raw.Length, (int[])raw.Clone());
        }

        /// <summary>What GetMfaRegistration returns.</summary>
        public static CapillaryRegistration Registration(CapillaryRegistrationState state) => state switch
        {
            CapillaryRegistrationState.Registered => new CapillaryRegistration(state, 200, 200),
            CapillaryRegistrationState.NotRegistered => new CapillaryRegistration(state, 404, 404),
            _ => new CapillaryRegistration(state, 400, 400),
        };

        private static MfaTransaction Made(long id, MfaDecision decision, bool isAnswer)
        {
            if (id <= 0)
            {
                throw new ArgumentOutOfRangeException(nameof(id), id, "A transaction's id is above zero.");
            }
            (int? status, int? result) = decision switch
            {
                MfaDecision.Approved => (1, 0),
                MfaDecision.Denied => (1, 1),
                MfaDecision.Expired => (2, 0),
                MfaDecision.Failed => (3, 0),
                MfaDecision.Cancelled => (4, 0),
                MfaDecision.Pending => (0, 0),
                _ => ((int?)null, (int?)null),
            };
            return new MfaTransaction(
                isAnswer && decision == MfaDecision.Approved, decision, id, status, result, 1, TimeSpan.FromSeconds(1));
        }
    }
}
