using System;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace MfaClient
{
    // The other half, constants, structs and imports, is generated: see Native.g.cs.
    internal static unsafe partial class Native
    {
#if MFA_LIBRARY_INTERNAL || ((UNITY_IOS || UNITY_TVOS || UNITY_WEBGL) && !UNITY_EDITOR)
        // Linked into the program itself, as iOS wants it.
        internal const string Library = "__Internal";
#else
        internal const string Library = "mfa";
#endif

        private static volatile bool fits;

        /// <summary>Refuses a library that this binding was not written for, before a struct is handed to it.</summary>
        internal static void EnsureItFits()
        {
            if (fits)
            {
                return;
            }
            string? why = WhyItDoesNotFit();
            if (why != null)
            {
                throw new DllNotFoundException(
                    $"The native library \"{Library}\" does not fit the C# binding {MFA_VERSION_MAJOR}." +
                    $"{MFA_VERSION_MINOR}.{MFA_VERSION_PATCH}: {why}");
            }
            fits = true;
        }

        private static string? WhyItDoesNotFit()
        {
            try
            {
                uint abi = mfa_abi_version();
                if (abi != MFA_ABI_VERSION)
                {
                    return $"its ABI version is {abi}, and {MFA_ABI_VERSION} is needed. It is libmfa {Utf8.Read(mfa_version())}.";
                }
                foreach (var (name, _, needed) in Structs)
                {
                    ulong size = (ulong)mfa_struct_size(Utf8.Encode(name, nameof(name))!);
                    if (size < (ulong)needed)
                    {
                        return $"its {name} has {size} bytes, and {needed} are needed. It is libmfa " +
                            $"{Utf8.Read(mfa_version())}, which is too old.";
                    }
                }
                return null;
            }
            catch (EntryPointNotFoundException e)
            {
                return "it is not libmfa, or too old: " + e.Message;
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                throw new DllNotFoundException(Platform.WhyThereIsNoLibrary(), e);
            }
        }
    }

    /// <summary>
    /// A client's handle. It keeps the log's delegate alive. Native code holds that weakly, because a log that reaches its
    /// own client would keep it for ever.
    /// </summary>
    internal abstract unsafe class ClientHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        private Action<MfaLogLevel, string>? log;
        private GCHandle weakLog;

        protected ClientHandle() : base(ownsHandle: true)
        {
        }

        /// <summary>Makes the client. The code that is returned is "ok", or nothing was made.</summary>
        internal int Open(Native.mfa_client_options* options, Action<MfaLogLevel, string>? log, Native.mfa_error* error)
        {
            if (log != null)
            {
                this.log = log;
                weakLog = GCHandle.Alloc(log, GCHandleType.Weak);
                options->log = Callbacks.Log;
                options->log_user_data = GCHandle.ToIntPtr(weakLog);
            }
            int code = Create(options, out IntPtr client, error);
            if (code == Native.MFA_OK)
            {
                SetHandle(client);
            }
            else
            {
                LetTheLogGo();
            }
            GC.KeepAlive(log);
            return code;
        }

        /// <summary>Runs once, when the last call that uses the client has ended.</summary>
        protected sealed override bool ReleaseHandle()
        {
            Free(handle);
            LetTheLogGo();
            return true;
        }

        private void LetTheLogGo()
        {
            log = null;
            if (weakLog.IsAllocated)
            {
                weakLog.Free();
            }
        }

        protected abstract int Create(Native.mfa_client_options* options, out IntPtr client, Native.mfa_error* error);

        protected abstract void Free(IntPtr client);
    }

    internal sealed unsafe class HyperIdHandle : ClientHandle
    {
        internal HyperIdHandle(Native.mfa_waiter_options options)
        {
            Waits = new Waits(this, options);
        }

        internal Waits Waits { get; }

        protected override int Create(Native.mfa_client_options* options, out IntPtr client, Native.mfa_error* error) =>
            Native.mfa_hyperid_new(options, out client, error);

        protected override void Free(IntPtr client) => Native.mfa_hyperid_free(client);
    }

    internal sealed unsafe class CapillaryHandle : ClientHandle
    {
        protected override int Create(Native.mfa_client_options* options, out IntPtr client, Native.mfa_error* error) =>
            Native.mfa_capillary_new(options, out client, error);

        protected override void Free(IntPtr client) => Native.mfa_capillary_free(client);
    }

    internal sealed class CancelHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal CancelHandle() : base(ownsHandle: true)
        {
            SetHandle(Native.mfa_cancel_new());
            if (IsInvalid)
            {
                throw new MfaException(MfaErrorCode.Internal, "The system refused what a cancel needs; nothing was sent.");
            }
        }

        protected override bool ReleaseHandle()
        {
            Native.mfa_cancel_free(handle);
            return true;
        }
    }

    /// <summary>A waiter's handle. It keeps its client, which native code uses as long as the waiter lives.</summary>
    internal sealed class WaiterHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        private readonly HyperIdHandle client;

        private WaiterHandle(HyperIdHandle client) : base(ownsHandle: true)
        {
            this.client = client;
        }

        /// <exception cref="MfaException">The system refused what a waiter needs.</exception>
        internal static unsafe WaiterHandle Open(HyperIdHandle client, Native.mfa_waiter_options options)
        {
            var waiter = new WaiterHandle(client);
            var error = Native.mfa_error.Initial;
            bool isKept = false;
            client.DangerousAddRef(ref isKept);
            int code = Native.mfa_waiter_new(client, &options, out IntPtr made, &error);
            if (code != Native.MFA_OK)
            {
                client.DangerousRelease();
                throw MfaException.For(code, &error, null, default);
            }
            waiter.SetHandle(made);
            return waiter;
        }

        protected override bool ReleaseHandle()
        {
            Native.mfa_waiter_free(handle);
            client.DangerousRelease();
            return true;
        }
    }

    internal static unsafe class Utf8
    {
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, throwOnInvalidBytes: true);

        /// <summary>NUL-terminated; null stays null. A text that would arrive as another one is refused.</summary>
        internal static byte[]? Encode(string? text, string parameter, string? property = null)
        {
            if (text == null)
            {
                return null;
            }
            if (text.Contains("\0"))
            {
                throw new ArgumentException((property ?? parameter) + " has a NUL in it, where native code would end it.", parameter);
            }
            try
            {
                byte[] bytes = new byte[Strict.GetByteCount(text) + 1];
                Strict.GetBytes(text, 0, text.Length, bytes, 0);
                return bytes;
            }
            catch (EncoderFallbackException)
            {
                throw new ArgumentException((property ?? parameter) + " is not valid UTF-16, so it has no UTF-8.", parameter);
            }
        }

        internal static string Read(IntPtr text) => Read((byte*)text, int.MaxValue);

        /// <summary>Up to the NUL, or all of <paramref name="size"/>.</summary>
        internal static string Read(byte* text, int size)
        {
            int length = 0;
            while (length < size && text[length] != 0)
            {
                length++;
            }
            return length == 0 ? "" : Encoding.UTF8.GetString(text, length);
        }
    }
}
