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
        }
    }

    /// <summary>A client's handle. It owns the log's delegate too, which native code holds as long as the client lives.</summary>
    internal abstract class ClientHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        private GCHandle log;

        protected ClientHandle() : base(ownsHandle: true)
        {
        }

        internal void Take(IntPtr client, GCHandle log)
        {
            this.log = log;
            SetHandle(client);
        }

        /// <summary>Runs once, when the last call that uses the client has ended.</summary>
        protected sealed override bool ReleaseHandle()
        {
            Free(handle);
            if (log.IsAllocated)
            {
                log.Free();
            }
            return true;
        }

        protected abstract void Free(IntPtr client);
    }

    internal sealed class HyperIdHandle : ClientHandle
    {
        protected override void Free(IntPtr client) => Native.mfa_hyperid_free(client);
    }

    internal sealed class CapillaryHandle : ClientHandle
    {
        protected override void Free(IntPtr client) => Native.mfa_capillary_free(client);
    }

    internal sealed class CancelHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal CancelHandle() : base(ownsHandle: true)
        {
            SetHandle(Native.mfa_cancel_new());
            if (IsInvalid)
            {
                throw new InvalidOperationException("A defect in libmfa: it could not make a cancel object.");
            }
        }

        protected override bool ReleaseHandle()
        {
            Native.mfa_cancel_free(handle);
            return true;
        }
    }

    internal static unsafe class Utf8
    {
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, throwOnInvalidBytes: true);

        /// <summary>NUL-terminated; null stays null. A text that would arrive as another one is refused.</summary>
        internal static byte[]? Encode(string? text, string parameter)
        {
            if (text == null)
            {
                return null;
            }
            if (text.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("The text has a NUL in it, where native code would end it.", parameter);
            }
            try
            {
                byte[] bytes = new byte[Strict.GetByteCount(text) + 1];
                Strict.GetBytes(text, 0, text.Length, bytes, 0);
                return bytes;
            }
            catch (EncoderFallbackException)
            {
                throw new ArgumentException("The text is not valid UTF-16, so it has no UTF-8.", parameter);
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
