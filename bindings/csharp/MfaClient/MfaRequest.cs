using System;

namespace MfaClient
{
    /// <summary>What to ask the person. What is not set is not sent.</summary>
    public sealed class MfaRequest
    {
        /// <summary>A request whose properties are still to be set.</summary>
        public MfaRequest()
        {
        }

        /// <summary>The plain question.</summary>
        public MfaRequest(string question)
        {
            Question = question;
        }

        /// <summary>Template 4: the text shown to the person.</summary>
        public string? Question { get; set; }

        /// <summary>Which screen the app shows. 0: template 4, and <see cref="Question"/> is required.</summary>
        public int TemplateId { get; set; }

        /// <summary>Any template: its parameters as a JSON object; together with <see cref="Question"/>: refused.</summary>
        public string? ValuesJson { get; set; }

        /// <summary>The control code that your program shows and the app shows too: see <see cref="MfaLibrary.NewControlCode"/>.</summary>
        public string? Code { get; set; }

        /// <summary><see cref="Code"/> may be any text, not only two digits.</summary>
        public bool AllowAnyCode { get; set; }

        /// <summary>Identifies the device that the person acts from.</summary>
        public string? DeviceId { get; set; }

        /// <summary>Describes that device to the person.</summary>
        public string? DeviceDescription { get; set; }

        /// <summary>That device's address.</summary>
        public string? Ip { get; set; }

        internal unsafe Native.mfa_request ToNative(Texts texts) => new Native.mfa_request
        {
            struct_size = (uint)sizeof(Native.mfa_request),
            flags = AllowAnyCode ? (uint)Native.MFA_REQUEST_ANY_CODE : 0,
            template_id = TemplateId,
            question = texts.Pointer(Question, nameof(Question)),
            values_json = texts.Pointer(ValuesJson, nameof(ValuesJson)),
            code = texts.Pointer(Code, nameof(Code)),
            device_id = texts.Pointer(DeviceId, nameof(DeviceId)),
            device_desc = texts.Pointer(DeviceDescription, nameof(DeviceDescription)),
            ip = texts.Pointer(Ip, nameof(Ip)),
        };
    }

    /// <summary>How to wait for the answer. What is not set has its default.</summary>
    public sealed class WaitOptions
    {
        /// <summary>The time before the first poll; zero: at once. Null: Wait polls at once, Confirm after MinInterval.</summary>
        public TimeSpan? FirstPoll { get; set; }

        /// <summary>The least time between two polls. Null: 1 second.</summary>
        public TimeSpan? MinInterval { get; set; }

        /// <summary>The most time between two polls; in between, they come after a tenth of the time for which the call has known the id. Null: 10 seconds, or the minimum if that is more.</summary>
        public TimeSpan? MaxInterval { get; set; }

        /// <summary>
        /// Before the deadline, withdraw the transaction: cancel it, and read its state once more. A decision read then
        /// is returned; else the call fails with <see cref="MfaCode.Timeout"/>, and
        /// <see cref="MfaException.Withdrawn"/> says whether the provider confirmed it.
        /// </summary>
        public bool CancelOnTimeout { get; set; }

        /// <summary>
        /// When the call is cancelled, withdraw the transaction first, within 2 seconds. A decision read then is
        /// returned, so that a cancelled call may still have an answer; else it throws
        /// <see cref="OperationCanceledException"/>, and <see cref="MfaException.Withdrawn"/> of its inner exception
        /// says whether the provider confirmed it.
        /// </summary>
        public bool WithdrawOnCancel { get; set; }

        /// <summary>
        /// Called when the server refused the token as expired or invalid: returns a fresh one, or null to give up. On
        /// the thread of the call, which waits for it; what it throws ends the wait and reaches the caller.
        /// </summary>
        public Func<string?>? AccessTokenProvider { get; set; }
    }
}
