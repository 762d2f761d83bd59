using System;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MfaClient.Testing
{
    /// <summary>
    /// A local server that plays HyperID's and Capillary's MFA services: for tests, without an account or a network. The
    /// access token chooses what happens, as in "sandbox-deny-after-500"; see the sandbox's README. Safe to use from any
    /// number of threads at once.
    /// </summary>
    public sealed unsafe class Sandbox : IDisposable
    {
        private readonly SandboxHandle handle;
        private volatile bool disposed;

        /// <summary>Starts a sandbox on a free port of this machine.</summary>
        /// <param name="tls">https, with a certification authority of its own: see <see cref="CaPem"/>.</param>
        /// <param name="life">How long a request waits for the person. Null: 120 seconds.</param>
        /// <param name="strict">
        /// Refuses what HyperID's own clients send beside its documentation. Otherwise that is taken, and the answer's header
        /// Sandbox-Unusual says what it was.
        /// </param>
        /// <param name="firstId">The first transaction's id. Null: one that 32 bits cannot hold.</param>
        /// <exception cref="InvalidOperationException">It could not be started.</exception>
        public Sandbox(bool tls = false, TimeSpan? life = null, bool strict = false, long? firstId = null)
        {
            if (firstId <= 0)
            {
                throw new ArgumentOutOfRangeException(nameof(firstId));
            }
            var options = new SandboxNative.mfa_sandbox_options
            {
                struct_size = (uint)sizeof(SandboxNative.mfa_sandbox_options),
                flags = (tls ? SandboxNative.MFA_SANDBOX_TLS : 0) | (strict ? SandboxNative.MFA_SANDBOX_STRICT : 0),
                life_ms = Time.Milliseconds(life, nameof(life)),
                first_id = firstId ?? 0,
            };
            handle = new SandboxHandle(SandboxNative.mfa_sandbox_new(&options));
            if (handle.IsInvalid)
            {
                throw new InvalidOperationException("The sandbox could not be started.");
            }
            HyperIdUrl = Utf8.Read(SandboxNative.mfa_sandbox_hyperid_url(handle));
            CapillaryUrl = Utf8.Read(SandboxNative.mfa_sandbox_capillary_url(handle));
            PhoneUrl = Utf8.Read(SandboxNative.mfa_sandbox_phone_url(handle));
            IntPtr pem = SandboxNative.mfa_sandbox_ca_pem(handle);
            CaPem = pem == IntPtr.Zero ? null : Utf8.Read(pem);
        }

        /// <summary>The base URL for HyperID's calls.</summary>
        public string HyperIdUrl { get; }

        /// <summary>The base URL for Capillary's calls.</summary>
        public string CapillaryUrl { get; }

        /// <summary>The address of the page that plays the person's phone.</summary>
        public string PhoneUrl { get; }

        /// <summary>With TLS, the certificate of this run's authority.</summary>
        public string? CaPem { get; }

        /// <summary>How many pushes went to phones.</summary>
        public int PushCount => (int)SandboxNative.mfa_sandbox_push_count(Open);

        /// <summary>How many connections were ever accepted.</summary>
        public int ConnectionCount => (int)SandboxNative.mfa_sandbox_connection_count(Open);

        /// <summary>Options for a client that speaks to this sandbox.</summary>
        public MfaClientOptions ClientOptions() =>
            new MfaClientOptions { BaseUrl = HyperIdUrl, AllowLoopbackHttp = CaPem == null, CaPem = CaPem };

        /// <summary>Makes any text a token; <paramref name="behaviour"/> is what would follow "sandbox-".</summary>
        public void AddToken(string token, string behaviour) =>
            Check(SandboxNative.mfa_sandbox_add_token(Open, Text(token), Text(behaviour)));

        /// <summary>From now on the token is expired.</summary>
        public void ExpireToken(string token) => Check(SandboxNative.mfa_sandbox_expire_token(Open, Text(token)));

        /// <summary>From now on the token is invalid.</summary>
        public void RevokeToken(string token) => Check(SandboxNative.mfa_sandbox_revoke_token(Open, Text(token)));

        /// <summary>Adds a Capillary brand, with MFA or without.</summary>
        public void AddBrand(string brand, bool hasMfa) =>
            Check(SandboxNative.mfa_sandbox_add_brand(Open, Text(brand), hasMfa ? 1 : 0));

        /// <summary>Ends a pending transaction as the person would.</summary>
        public void Decide(long transactionId, SandboxDecision decision) =>
            Check(SandboxNative.mfa_sandbox_decide(Open, transactionId, (int)decision));

        /// <summary>Waits for a pending transaction that was not returned before, and returns its id.</summary>
        /// <exception cref="TimeoutException">None came in time.</exception>
        public long WaitForTransaction(TimeSpan timeout)
        {
            long id = SandboxNative.mfa_sandbox_wait_for_transaction(Open, Time.Milliseconds(timeout, nameof(timeout)));
            return id != 0 ? id : throw new TimeoutException("No transaction was started in time.");
        }

        /// <summary>A transaction as it is now.</summary>
        public SandboxTransaction GetTransaction(long transactionId)
        {
            var info = new SandboxNative.mfa_sandbox_transaction_info
            {
                struct_size = (uint)sizeof(SandboxNative.mfa_sandbox_transaction_info),
            };
            Check(SandboxNative.mfa_sandbox_transaction(Open, transactionId, &info));
            return new SandboxTransaction(&info);
        }

        /// <summary>How many provider requests have arrived on a path as in "/mfa-client/availability-check"; null: on any.</summary>
        public int RequestCount(string? path = null) =>
            (int)SandboxNative.mfa_sandbox_request_count(Open, Utf8.Encode(path, nameof(path)));

        /// <summary>Waits until so many provider requests have arrived on a path; null: on any.</summary>
        /// <exception cref="TimeoutException">They did not come in time.</exception>
        public void WaitForRequests(string? path, int count, TimeSpan timeout)
        {
            byte[]? text = Utf8.Encode(path, nameof(path));
            uint milliseconds = Time.Milliseconds(timeout, nameof(timeout));
            if (SandboxNative.mfa_sandbox_wait_for_requests(Open, text, (ulong)count, milliseconds) != 1)
            {
                throw new TimeoutException("The requests did not arrive in time.");
            }
        }

        /// <summary>The last provider request on a path, null: on any, as text: request line, headers, an empty line, the body.</summary>
        public string? LastRequest(string? path = null)
        {
            byte[]? wanted = Utf8.Encode(path, nameof(path));
            int length = SandboxNative.mfa_sandbox_last_request(Open, wanted, null, 0);
            if (length < 0)
            {
                return null;
            }
            byte[] text;
            int room;
            do
            {
                // A longer one may have come meanwhile.
                room = length;
                text = new byte[room + 1];
                length = SandboxNative.mfa_sandbox_last_request(Open, wanted, text, (uint)text.Length);
            }
            while (length > room);
            fixed (byte* start = text)
            {
                return Utf8.Read(start, length);
            }
        }

        /// <summary>Stops the sandbox: ends its threads and closes its connections.</summary>
        public void Dispose()
        {
            disposed = true;
            handle.Dispose();
        }

        /// <summary>The bare handle would still serve new calls as long as an old one holds it open.</summary>
        private SandboxHandle Open => disposed ? throw new ObjectDisposedException(nameof(Sandbox)) : handle;

        private static byte[] Text(string text) =>
            Utf8.Encode(text, nameof(text)) ?? throw new ArgumentNullException(nameof(text));

        private static void Check(int code)
        {
            switch (code)
            {
                case SandboxNative.MFA_SANDBOX_OK:
                    return;
                case SandboxNative.MFA_SANDBOX_ERR_INVALID_ARGUMENT:
                    throw new ArgumentException("The sandbox does not know what to do with it.");
                case SandboxNative.MFA_SANDBOX_ERR_NOT_FOUND:
                    throw new InvalidOperationException("There is no such transaction or token.");
                case SandboxNative.MFA_SANDBOX_ERR_ENDED:
                    throw new InvalidOperationException("The transaction has ended already.");
                default:
                    throw new InvalidOperationException($"The sandbox failed: {code}.");
            }
        }
    }

    /// <summary>What the person does.</summary>
    public enum SandboxDecision
    {
        /// <summary>Completed, with complete result 0.</summary>
        Approve = 1,

        /// <summary>Completed, with complete result 1.</summary>
        Deny = 2,

        /// <summary>Waved away: status 4.</summary>
        Decline = 3,

        /// <summary>Status 3.</summary>
        Fail = 4,

        /// <summary>Status 2, before its life is over.</summary>
        Expire = 5,
    }

    /// <summary>A transaction at one moment, as the sandbox knows it. A text that was not sent is empty.</summary>
    public sealed class SandboxTransaction
    {
        internal unsafe SandboxTransaction(SandboxNative.mfa_sandbox_transaction_info* info)
        {
            Id = info->id;
            Status = info->status;
            TemplateId = info->template_id;
            Polls = (int)info->polls;
            User = Utf8.Read(info->user, 128);
            Question = Utf8.Read(info->question, 1024);
            Values = Utf8.Read(info->values, 2048);
            Code = Utf8.Read(info->code, 64);
            DeviceId = Utf8.Read(info->device_id, 128);
            DeviceDescription = Utf8.Read(info->device_desc, 256);
            Ip = Utf8.Read(info->ip, 64);
        }

        /// <summary>As returned by start.</summary>
        public long Id { get; }

        /// <summary>0 pending, 1 completed, 2 expired, 3 failed, 4 cancelled or declined.</summary>
        public int Status { get; }

        /// <summary>As sent.</summary>
        public int TemplateId { get; }

        /// <summary>How many status answers were asked for.</summary>
        public int Polls { get; }

        /// <summary>The person asked.</summary>
        public string User { get; }

        /// <summary>Template 4: the text shown to the person.</summary>
        public string Question { get; }

        /// <summary>As sent: a string that holds JSON.</summary>
        public string Values { get; }

        /// <summary>The control code, as sent.</summary>
        public string Code { get; }

        /// <summary>As sent.</summary>
        public string DeviceId { get; }

        /// <summary>As sent.</summary>
        public string DeviceDescription { get; }

        /// <summary>As sent.</summary>
        public string Ip { get; }
    }

    internal sealed class SandboxHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal SandboxHandle(IntPtr sandbox) : base(ownsHandle: true)
        {
            SetHandle(sandbox);
        }

        protected override bool ReleaseHandle()
        {
            SandboxNative.mfa_sandbox_free(handle);
            return true;
        }
    }
}
