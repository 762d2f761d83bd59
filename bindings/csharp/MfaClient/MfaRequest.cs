using System;

namespace MfaClient
{
    /// <summary>What to ask the person. What is not set is not sent.</summary>
    public sealed class MfaRequest
    {
        private const int PlainQuestion = 4;

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
        public string? ControlCode { get; set; }

        /// <summary><see cref="ControlCode"/> may be any text, not only two digits.</summary>
        public bool AllowAnyControlCode { get; set; }

        /// <summary>Identifies the device that the person acts from.</summary>
        public string? DeviceId { get; set; }

        /// <summary>Describes that device to the person.</summary>
        public string? DeviceDescription { get; set; }

        /// <summary>That device's address.</summary>
        public string? Ip { get; set; }

        internal static Native.mfa_request ToNative(MfaRequest request, Texts texts)
        {
            if (request == null)
            {
                throw new ArgumentNullException(nameof(request));
            }
            // Of what was encoded, since the caller may change the request on another thread meanwhile.
            var native = request.Encode(texts, nameof(request));
            bool hasQuestion = native.question != IntPtr.Zero;
            if (!hasQuestion && native.template_id == 0)
            {
                throw new ArgumentException("Question is required unless TemplateId names another template.", nameof(request));
            }
            bool isPlain = native.template_id == 0 || native.template_id == PlainQuestion;
            if (hasQuestion && (native.values_json != IntPtr.Zero || !isPlain))
            {
                throw new ArgumentException("Question belongs to template 4 and excludes ValuesJson.", nameof(request));
            }
            return native;
        }

        internal Native.mfa_request Encode(Texts texts, string parameter)
        {
            var native = Native.mfa_request.Initial;
            native.flags = AllowAnyControlCode ? (uint)Native.MFA_REQUEST_ANY_CODE : 0;
            native.template_id = TemplateId;
            native.question = Pointer(Question, nameof(Question));
            native.values_json = Pointer(ValuesJson, nameof(ValuesJson));
            native.code = Pointer(ControlCode, nameof(ControlCode));
            native.device_id = Pointer(DeviceId, nameof(DeviceId));
            native.device_desc = Pointer(DeviceDescription, nameof(DeviceDescription));
            native.ip = Pointer(Ip, nameof(Ip));
            return native;

            IntPtr Pointer(string? text, string property) => text?.Length == 0
                ? throw new ArgumentException($"{property} is empty; leave it null instead.", parameter)
                : texts.Pointer(text, parameter, property);
        }
    }

    /// <summary>How to wait for the answer. What is not set has its default.</summary>
    public sealed class MfaWaitOptions
    {
        /// <summary>The time before the first poll; zero: at once. Null: Wait polls at once, Confirm after MinInterval.</summary>
        public TimeSpan? FirstPoll { get; set; }

        /// <summary>The least time between two polls. Null: 1 second.</summary>
        public TimeSpan? MinInterval { get; set; }

        /// <summary>The most time between two polls; in between, they come after a tenth of the time for which the call has known the id. Null: 10 seconds, or the minimum if that is more.</summary>
        public TimeSpan? MaxInterval { get; set; }

        /// <summary>
        /// Before the deadline, withdraw the transaction: cancel it, and read its state once more. A decision read then
        /// is returned; else the call fails with <see cref="MfaErrorCode.Timeout"/>, and
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

        internal static Native.mfa_wait_options ToNative(MfaWaitOptions? wait) => (wait ?? new MfaWaitOptions()).ToNative();

        /// <summary>For a waiter: events in the place of callbacks, and how to cancel is said with the cancel.</summary>
        internal static Native.mfa_wait_options ToNative(MfaWaitOptions? wait, bool isToReport, bool isToAskForToken, out bool withdraws)
        {
            var native = ToNative(wait);
            withdraws = native.flags == (uint)Native.MFA_WAIT_WITHDRAW_ON_CANCEL;
            native.flags = (isToReport ? (uint)Native.MFA_WAIT_REPORT_UPDATES : 0)
                | (isToAskForToken ? (uint)Native.MFA_WAIT_ASK_FOR_TOKEN : 0);
            return native;
        }

        private Native.mfa_wait_options ToNative()
        {
            const string Parameter = "wait"; // as the calls name it
            var (firstPoll, least, most) = (FirstPoll, MinInterval, MaxInterval);
            if (most < least)
            {
                throw new ArgumentOutOfRangeException(Parameter, most, "MaxInterval is below MinInterval.");
            }
            var native = Native.mfa_wait_options.Initial;
            // Zero is "at once" here, and the default there.
            native.first_poll_ms = firstPoll == TimeSpan.Zero ? 1 : Time.Milliseconds(firstPoll, Parameter, nameof(FirstPoll));
            native.min_interval_ms = Time.Milliseconds(least, Parameter, nameof(MinInterval));
            native.max_interval_ms = Time.Milliseconds(most, Parameter, nameof(MaxInterval));
            native.cancel_on_timeout = CancelOnTimeout ? 1 : 0;
            native.flags = WithdrawOnCancel ? (uint)Native.MFA_WAIT_WITHDRAW_ON_CANCEL : 0;
            return native;
        }
    }
}
