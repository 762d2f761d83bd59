using System;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>
    /// A client for Capillary: thread-safe, long-lived, and failing as <see cref="HyperIdClient"/> does.
    /// </summary>
    public sealed unsafe class CapillaryClient : IDisposable
    {
        private readonly CapillaryHandle handle;
        private volatile bool disposed;

        /// <summary>Makes a client. Nothing is sent.</summary>
        /// <param name="options"><see cref="MfaClientOptions.BaseUrl"/> is required: each region has a host of its own.</param>
        /// <exception cref="MfaException">An option is not allowed.</exception>
        /// <exception cref="DllNotFoundException">The native library was not found, or does not fit this binding.</exception>
        public CapillaryClient(MfaClientOptions options)
        {
            handle = MfaClientOptions.Open(options, new CapillaryHandle(), Native.mfa_capillary_new);
        }

        /// <summary>Closes the connections, as soon as no call uses the client any more.</summary>
        public void Dispose()
        {
            disposed = true;
            handle.Dispose();
        }

        /// <summary>The bare handle would still serve new calls as long as an old one holds it open.</summary>
        private CapillaryHandle Open => disposed ? throw new ObjectDisposedException(nameof(CapillaryClient)) : handle;

        /// <summary>Whether MFA is registered for the user whom the token belongs to.</summary>
        /// <param name="brand">As in the user's sign-in.</param>
        /// <param name="deviceId">As in the user's sign-in.</param>
        /// <param name="authorizedToken">1 to 16,384 characters.</param>
        /// <param name="timeout">The deadline of the whole call. Null: the client's <see cref="MfaClientOptions.RequestTimeout"/>.</param>
        /// <param name="cancellationToken">Ends the call within 50 milliseconds.</param>
        public Registration GetMfaRegistration(
            string brand,
            string deviceId,
            string authorizedToken,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default)
        {
            using var texts = new Texts();
            byte[]? nativeBrand = texts.Bytes(brand, nameof(brand));
            byte[]? device = texts.Bytes(deviceId, nameof(deviceId));
            byte[]? token = texts.Bytes(authorizedToken, nameof(authorizedToken));
            var empty = new Native.mfa_registration { struct_size = (uint)sizeof(Native.mfa_registration) };
            return new Registration(Call.Run(empty, timeout, cancellationToken, (options, answer, error) =>
                Native.mfa_capillary_is_mfa_registered(Open, nativeBrand!, device!, token!, options, answer, error)));
        }

        /// <inheritdoc cref="GetMfaRegistration"/>
        public Task<Registration> GetMfaRegistrationAsync(
            string brand,
            string deviceId,
            string authorizedToken,
            TimeSpan? timeout = null,
            CancellationToken cancellationToken = default) =>
            Call.OnItsOwnThread(
                () => GetMfaRegistration(brand, deviceId, authorizedToken, timeout, cancellationToken), cancellationToken);
    }

    /// <summary>Whether MFA is registered for a user.</summary>
    public sealed class Registration
    {
        internal Registration(Native.mfa_registration native)
        {
            State = (RegistrationState)native.state;
            RawCode = native.raw_code;
            HttpStatus = native.http_status;
        }

        /// <summary>The answer.</summary>
        public RegistrationState State { get; }

        /// <summary>The server's status.code.</summary>
        public int RawCode { get; }

        /// <summary>The answer's HTTP status.</summary>
        public int HttpStatus { get; }
    }

    /// <summary>Whether MFA is registered for a user.</summary>
    public enum RegistrationState
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
