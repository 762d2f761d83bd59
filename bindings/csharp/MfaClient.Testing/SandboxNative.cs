using System;
using System.Runtime.InteropServices;

namespace MfaClient.Testing
{
    /// <summary>mfa_sandbox.h.</summary>
    internal static unsafe class SandboxNative
    {
        internal const uint MFA_SANDBOX_TLS = 1;
        internal const uint MFA_SANDBOX_LAN = 2;
        internal const uint MFA_SANDBOX_CAPILLARY_HTTP_STATUS = 4;
        internal const uint MFA_SANDBOX_STRICT = 8;
        internal const uint MFA_SANDBOX_LOG = 16;
        internal const uint MFA_SANDBOX_USER_NO_APP = 1;
        internal const uint MFA_SANDBOX_USER_NOT_REGISTERED = 2;
        internal const int MFA_SANDBOX_OK = 0;
        internal const int MFA_SANDBOX_ERR_INVALID_ARGUMENT = 1;
        internal const int MFA_SANDBOX_ERR_NOT_FOUND = 2;
        internal const int MFA_SANDBOX_ERR_ENDED = 3;

        private const string Library = "mfa_sandbox";

        [StructLayout(LayoutKind.Sequential)]
        internal struct mfa_sandbox_options
        {
            internal uint struct_size;
            internal uint flags;
            internal uint port;
            internal uint life_ms;
            internal uint idle_timeout_ms;
            internal uint reserved;
            internal long first_id;
            internal IntPtr any_token;
            internal IntPtr allow_origins;
            internal IntPtr control_key;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct mfa_sandbox_user
        {
            internal uint struct_size;
            internal uint flags;
            internal IntPtr methods;
            internal IntPtr devices;
            internal IntPtr behaviour;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct mfa_sandbox_transaction_info
        {
            internal uint struct_size;
            internal int status;
            internal long id;
            internal int complete_result;
            internal int template_id;
            internal uint remaining_ms;
            internal uint polls;
            internal fixed byte user[128];
            internal fixed byte question[1024];
            internal fixed byte values[2048];
            internal fixed byte code[64];
            internal fixed byte device_id[128];
            internal fixed byte device_desc[256];
            internal fixed byte ip[64];
        }

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_new_why(mfa_sandbox_options* options, byte[]? why, uint why_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void mfa_sandbox_free(IntPtr sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_behaviours();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_hyperid_url(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_capillary_url(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_phone_url(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_control_url(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_control_key(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_reset(SandboxHandle sandbox, long first_id);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern IntPtr mfa_sandbox_ca_pem(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_add_token(SandboxHandle sandbox, byte[]? token, byte[]? behaviour);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_check_behaviour(byte[]? behaviour, byte[]? why, uint why_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_add_user(SandboxHandle sandbox, byte[]? name, mfa_sandbox_user* user);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_issue_token(SandboxHandle sandbox, byte[]? token, byte[]? user, byte[]? scopes, uint lives_ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_issue_jwt(SandboxHandle sandbox, byte[]? user, byte[]? scopes, uint lives_ms, byte[]? buffer, uint buffer_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_expire_token(SandboxHandle sandbox, byte[]? token);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_revoke_token(SandboxHandle sandbox, byte[]? token);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_add_brand(SandboxHandle sandbox, byte[]? brand, int has_mfa);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_decide(SandboxHandle sandbox, long transaction_id, int decision);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern long mfa_sandbox_wait_for_transaction(SandboxHandle sandbox, uint timeout_ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_transaction(SandboxHandle sandbox, long transaction_id, mfa_sandbox_transaction_info* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong mfa_sandbox_transactions(SandboxHandle sandbox, long[]? ids, uint capacity);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_set_first_id(SandboxHandle sandbox, long first_id);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong mfa_sandbox_push_count(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong mfa_sandbox_request_count(SandboxHandle sandbox, byte[]? path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_wait_for_requests(SandboxHandle sandbox, byte[]? path, ulong count, uint timeout_ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong mfa_sandbox_connection_count(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong mfa_sandbox_open_connections(SandboxHandle sandbox);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_last_request(SandboxHandle sandbox, byte[]? path, byte[]? buffer, uint buffer_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern int mfa_sandbox_request(SandboxHandle sandbox, ulong number, byte[]? buffer, uint buffer_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void mfa_sandbox_clear_requests(SandboxHandle sandbox);
    }
}
