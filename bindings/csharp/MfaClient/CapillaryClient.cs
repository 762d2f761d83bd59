using System;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>
    /// A client for Capillary: thread-safe, long-lived, taking what it is given and failing as <see cref="HyperIdClient"/>
    /// does.
    /// </summary>
    public class CapillaryClient : IDisposable
    {
        private readonly CapillaryHandle? handle;
        private volatile bool disposed;

        /// <summary>Makes a client. Nothing is sent.</summary>
        /// <param name="options"><see cref="MfaClientOptions.BaseUrl"/> is required: each region has a host of its own.</param>
        /// <exception cref="ArgumentException">An option is not allowed.</exception>
        /// <exception cref="MfaException">The system refused what a client needs.</exception>
        /// <exception cref="DllNotFoundException">The native library was not found, or does not fit this binding.</exception>
        public CapillaryClient(MfaClientOptions options)
        {
            if (options == null)
            {
                throw new ArgumentNullException(nameof(options));
            }
            handle = MfaClientOptions.Open(options, new CapillaryHandle());
        }

        /// <summary>For a double of it in your tests: without the native library, and only as good as what it overrides.</summary>
        protected CapillaryClient()
        {
        }

        /// <summary>Closes the connections, as soon as no call uses the client any more.</summary>
        public virtual void Dispose()
        {
            disposed = true;
            handle?.Dispose();
            GC.SuppressFinalize(this);
        }

        /// <summary>The bare handle would still serve new calls as long as an old one holds it open.</summary>
        private CapillaryHandle Open =>
            handle == null ? throw Double.NotOverridden(GetType())
            : disposed ? throw new ObjectDisposedException(nameof(CapillaryClient))
            : handle;

        /// <summary>Whether MFA is registered for the user whom the token belongs to.</summary>
        /// <param name="brand">As in the user's sign-in.</param>
        /// <param name="deviceId">As in the user's sign-in.</param>
        /// <param name="authorizedToken">1 to 16,384 characters.</param>
        /// <param name="timeout">The deadline of the whole call. Null: the client's <see cref="MfaClientOptions.RequestTimeout"/>.</param>
        /// <param name="cancellationToken">Ends the call within 50 milliseconds.</param>
        public virtual CapillaryRegistration GetMfaRegistration(
            string brand,
            string deviceId,
            string authorizedToken,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            Registration(Open, brand, deviceId, authorizedToken, timeout, cancellationToken).Run();

        /// <inheritdoc cref="GetMfaRegistration"/>
        public virtual Task<CapillaryRegistration> GetMfaRegistrationAsync(
            string brand,
            string deviceId,
            string authorizedToken,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            Registration(Open, brand, deviceId, authorizedToken, timeout, cancellationToken).RunAsync();

        private static unsafe Call<CapillaryRegistration> Registration(
            CapillaryHandle client,
            string brand,
            string deviceId,
            string authorizedToken,
            TimeSpan? timeout,
            CancellationToken cancellationToken) =>
            new Call<CapillaryRegistration>(client, timeout, cancellationToken, null, texts =>
            {
                byte[] nativeBrand = texts.Required(brand, nameof(brand));
                byte[] device = texts.Required(deviceId, nameof(deviceId));
                byte[] token = texts.Token(authorizedToken, nameof(authorizedToken));
                return (Native.mfa_call_options* options, Native.mfa_error* error, out CapillaryRegistration answer) =>
                {
                    var native = Native.mfa_registration.Initial;
                    int code = Native.mfa_capillary_is_mfa_registered(
                        client, nativeBrand, device, token, options, &native, error);
                    answer = CapillaryRegistration.From(&native);
                    return code;
                };
            });
    }

    /// <summary>Whether MFA is registered for a user.</summary>
    public sealed class CapillaryRegistration
    {
        internal CapillaryRegistration(CapillaryRegistrationState state, int rawCode, int httpStatus)
        {
            State = state;
            RawCode = rawCode;
            HttpStatus = httpStatus;
        }

        internal static unsafe CapillaryRegistration From(Native.mfa_registration* native) => new CapillaryRegistration(
            (CapillaryRegistrationState)native->state, native->raw_code, native->http_status);

        /// <summary>The answer.</summary>
        public CapillaryRegistrationState State { get; }

        /// <summary>The server's status.code.</summary>
        public int RawCode { get; }

        /// <summary>The answer's HTTP status.</summary>
        public int HttpStatus { get; }
    }

    /// <summary>Whether MFA is registered for a user. A newer library may return a value that this version has no name for.</summary>
    public enum CapillaryRegistrationState
    {
        /// <summary>No answer has been read.</summary>
        None = Native.MFA_REGISTRATION_NONE,

        /// <summary>MFA is registered for the user.</summary>
        Registered = Native.MFA_REGISTRATION_REGISTERED,

        /// <summary>The user exists and has not registered MFA.</summary>
        NotRegistered = Native.MFA_REGISTRATION_NOT_REGISTERED,

        /// <summary>The brand has no MFA.</summary>
        NotEnabled = Native.MFA_REGISTRATION_NOT_ENABLED,
    }
}
