using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
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
        private const int MostRequests = 1000;
        private const string NotFound = "There is no such transaction or token.";
        private const string WrongFirstId = "The id is above 2 to the 62nd, or a transaction has it already, or a larger one.";

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
        /// <exception cref="InvalidOperationException">It could not be started; the message says why.</exception>
        public Sandbox(bool tls = false, TimeSpan? life = null, bool strict = false, long? firstId = null)
            : this(new SandboxOptions { Tls = tls, Life = life, Strict = strict, FirstId = firstId })
        {
        }

        /// <summary>Starts a sandbox.</summary>
        /// <exception cref="InvalidOperationException">It could not be started; the message says why.</exception>
        public Sandbox(SandboxOptions options)
        {
            handle = SandboxOptions.Open(options ?? throw new ArgumentNullException(nameof(options)));
            HyperIdUrl = Utf8.Read(SandboxNative.mfa_sandbox_hyperid_url(handle));
            CapillaryUrl = Utf8.Read(SandboxNative.mfa_sandbox_capillary_url(handle));
            PhoneUrl = Utf8.Read(SandboxNative.mfa_sandbox_phone_url(handle));
            ControlUrl = Utf8.Read(SandboxNative.mfa_sandbox_control_url(handle));
            ControlKey = Utf8.Read(SandboxNative.mfa_sandbox_control_key(handle));
            IntPtr pem = SandboxNative.mfa_sandbox_ca_pem(handle);
            CaPem = pem == IntPtr.Zero ? null : Utf8.Read(pem);
        }

        /// <summary>The base URL for HyperID's calls.</summary>
        public string HyperIdUrl { get; }

        /// <summary>The base URL for Capillary's calls.</summary>
        public string CapillaryUrl { get; }

        /// <summary>The address of the page that plays the person's phone.</summary>
        public string PhoneUrl { get; }

        /// <summary>The address of the interface for tests in other languages, over HTTP: the sandbox's README describes it.</summary>
        public string ControlUrl { get; }

        /// <summary>Its key in this run, for the header Sandbox-Key.</summary>
        public string ControlKey { get; }

        /// <summary>With TLS, the certificate of this run's authority.</summary>
        public string? CaPem { get; }

        /// <summary>How many pushes went to phones.</summary>
        public int PushCount => (int)SandboxNative.mfa_sandbox_push_count(Open);

        /// <summary>How many connections were ever accepted.</summary>
        public int ConnectionCount => (int)SandboxNative.mfa_sandbox_connection_count(Open);

        /// <summary>How many connections are open now.</summary>
        public int OpenConnections => (int)SandboxNative.mfa_sandbox_open_connections(Open);

        /// <summary>Every behaviour that a token can name, one a line, for people.</summary>
        public static string Behaviours() => Utf8.Read(SandboxNative.mfa_sandbox_behaviours());

        /// <summary>Options for a client that speaks to this sandbox.</summary>
        public MfaClientOptions ClientOptions() =>
            new MfaClientOptions { BaseUrl = HyperIdUrl, AllowLoopbackHttp = CaPem == null, CaPem = CaPem };

        /// <summary>Makes any text a token; <paramref name="behaviour"/> is what would follow "sandbox-".</summary>
        /// <exception cref="ArgumentException">There is no such behaviour; the message has the nearest name.</exception>
        public void AddToken(string token, string behaviour)
        {
            CheckBehaviour(Text(behaviour), nameof(behaviour));
            Check(SandboxNative.mfa_sandbox_add_token(Open, Text(token), Text(behaviour)));
        }

        /// <summary>Adds a person, or replaces one.</summary>
        /// <param name="name">As in "ann".</param>
        /// <param name="user">What the person has and does. Null: the default.</param>
        /// <exception cref="ArgumentException">There is no such behaviour; the message has the nearest name.</exception>
        public void AddUser(string name, SandboxUser? user = null)
        {
            user ??= new SandboxUser();
            if (!string.IsNullOrEmpty(user.Behaviour))
            {
                CheckBehaviour(Text(user.Behaviour!), nameof(user));
            }
            Check(SandboxUser.Add(Open, Text(name), user));
        }

        /// <summary>Issues a token, which may be any text, to a person.</summary>
        /// <param name="token">The token.</param>
        /// <param name="user">The person, who is added with the defaults if not known, and then asked on the page.</param>
        /// <param name="scopes">Null: "mfa-client" and "second-factor-auth-client".</param>
        /// <param name="lives">How long it is good. Null: until it is revoked or expired.</param>
        public void IssueToken(string token, string user, IEnumerable<string>? scopes = null, TimeSpan? lives = null) =>
            Check(SandboxNative.mfa_sandbox_issue_token(
                Open, Text(token), Text(user), Scopes(scopes), Time.Milliseconds(lives, nameof(lives))));

        /// <summary>Makes a token shaped as the providers' (three parts, HS256), and issues it to a person.</summary>
        /// <param name="user">The person, who is added with the defaults if not known, and then asked on the page.</param>
        /// <param name="scopes">Null: "mfa-client" and "second-factor-auth-client".</param>
        /// <param name="lives">How long it is good. Null: until it is revoked or expired.</param>
        public string IssueJwt(string user, IEnumerable<string>? scopes = null, TimeSpan? lives = null)
        {
            byte[] name = Text(user);
            byte[]? access = Scopes(scopes);
            uint milliseconds = Time.Milliseconds(lives, nameof(lives));
            // Each call makes another one, so that the first must fit.
            int room = 4096 + (4 * (name.Length + (access?.Length ?? 0)));
            byte[]? token = Values.Whole(
                buffer => SandboxNative.mfa_sandbox_issue_jwt(Open, name, access, milliseconds, buffer, (uint)buffer.Length), room);
            return Encoding.ASCII.GetString(token ?? throw new InvalidOperationException("The token could not be made."));
        }

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
        public SandboxTransaction GetTransaction(long transactionId) =>
            Find(transactionId) ?? throw new InvalidOperationException(NotFound);

        /// <summary>All transactions, the oldest first.</summary>
        public IReadOnlyList<SandboxTransaction> Transactions()
        {
            long[] ids = new long[64];
            int count;
            while ((count = (int)SandboxNative.mfa_sandbox_transactions(Open, ids, (uint)ids.Length)) > ids.Length)
            {
                // More may come meanwhile.
                ids = new long[2 * count];
            }
            return ids.Take(count).Select(Find).OfType<SandboxTransaction>().ToList();
        }

        /// <summary>The next transaction gets this id, at most 2 to the 62nd, and the next ones follow.</summary>
        /// <exception cref="ArgumentException">
        /// It is out of range, or a transaction has it, or a larger one: <see cref="Reset"/> first.
        /// </exception>
        public void SetFirstId(long firstId) =>
            Check(SandboxNative.mfa_sandbox_set_first_id(Open, Values.FirstId(firstId, nameof(firstId))), WrongFirstId);

        /// <summary>
        /// Forgets everything, as if it were started anew: people, tokens, brands, transactions, requests and their counters.
        /// Connections, addresses and the key stay.
        /// </summary>
        /// <param name="firstId">
        /// The next transaction's id, at most 2 to the 62nd. A client that has seen an id before does not take it for a new one.
        /// Null: the ids go on.
        /// </param>
        public void Reset(long? firstId = null) =>
            Check(SandboxNative.mfa_sandbox_reset(Open, Values.FirstId(firstId, nameof(firstId))), WrongFirstId);

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
            byte[]? text = Values.Whole(
                buffer => SandboxNative.mfa_sandbox_last_request(Open, wanted, buffer, (uint)buffer.Length));
            return text == null ? null : Encoding.UTF8.GetString(text);
        }

        /// <summary>The last provider requests on a path, null: on any, the oldest first; at most 1,000 are kept.</summary>
        public IReadOnlyList<SandboxRequest> Requests(string? path = null)
        {
            int count = RequestCount();
            int kept = Math.Min(count, MostRequests);
            return Enumerable.Range(count - kept + 1, kept)
                .Select(number => Values.Whole(
                    buffer => SandboxNative.mfa_sandbox_request(Open, (ulong)number, buffer, (uint)buffer.Length)))
                .OfType<byte[]>().Select(text => new SandboxRequest(text)).Where(request => request.IsOn(path)).ToList();
        }

        /// <summary>Empties the log of requests; the counters go on.</summary>
        public void ClearRequests() => SandboxNative.mfa_sandbox_clear_requests(Open);

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

        private static byte[]? Scopes(IEnumerable<string>? scopes) =>
            Utf8.Encode(Values.Joined(scopes, ' ', nameof(scopes)), nameof(scopes));

        private SandboxTransaction? Find(long transactionId)
        {
            var info = new SandboxNative.mfa_sandbox_transaction_info
            {
                struct_size = (uint)sizeof(SandboxNative.mfa_sandbox_transaction_info),
            };
            int code = SandboxNative.mfa_sandbox_transaction(Open, transactionId, &info);
            if (code == SandboxNative.MFA_SANDBOX_ERR_NOT_FOUND)
            {
                return null;
            }
            Check(code);
            return new SandboxTransaction(&info);
        }

        private static void CheckBehaviour(byte[] behaviour, string parameter)
        {
            byte[] why = new byte[Values.LongestReason];
            if (SandboxNative.mfa_sandbox_check_behaviour(behaviour, why, (uint)why.Length) != SandboxNative.MFA_SANDBOX_OK)
            {
                throw new ArgumentException("Behaviour: " + Values.Read(why), parameter);
            }
        }

        private static void Check(int code, string wrong = "The sandbox does not know what to do with it.")
        {
            switch (code)
            {
                case SandboxNative.MFA_SANDBOX_OK:
                    return;
                case SandboxNative.MFA_SANDBOX_ERR_INVALID_ARGUMENT:
                    throw new ArgumentException(wrong);
                case SandboxNative.MFA_SANDBOX_ERR_NOT_FOUND:
                    throw new InvalidOperationException(NotFound);
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
            CompleteResult = info->complete_result;
            TemplateId = info->template_id;
            Remaining = TimeSpan.FromMilliseconds(info->remaining_ms);
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

        /// <summary>0 approved, 1 denied; 0 while it is pending, too.</summary>
        public int CompleteResult { get; }

        /// <summary>As sent.</summary>
        public int TemplateId { get; }

        /// <summary>How long it still lives; zero when it has ended.</summary>
        public TimeSpan Remaining { get; }

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
