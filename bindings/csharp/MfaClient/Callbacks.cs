using System;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace MfaClient
{
    /// <summary>
    /// What native code calls: static functions, so that ahead-of-time compilers can make them. Their user data is a
    /// GCHandle, and no exception leaves them.
    /// </summary>
    internal static unsafe class Callbacks
    {
#if NET5_0_OR_GREATER
        internal static IntPtr Update => (IntPtr)(delegate* unmanaged[Cdecl]<IntPtr, Native.mfa_transaction*, int>)&OnUpdate;

        internal static IntPtr FreshToken => (IntPtr)(delegate* unmanaged[Cdecl]<IntPtr, IntPtr>)&OnTokenRefused;

        internal static IntPtr Log => (IntPtr)(delegate* unmanaged[Cdecl]<IntPtr, int, IntPtr, void>)&OnLog;
#else
        // Static fields: native code may hold the pointers for ever.
        private static readonly UpdateFn KeptUpdate = OnUpdate;
        private static readonly TokenFn KeptFreshToken = OnTokenRefused;
        private static readonly LogFn KeptLog = OnLog;

        internal static readonly IntPtr Update = Marshal.GetFunctionPointerForDelegate(KeptUpdate);

        internal static readonly IntPtr FreshToken = Marshal.GetFunctionPointerForDelegate(KeptFreshToken);

        internal static readonly IntPtr Log = Marshal.GetFunctionPointerForDelegate(KeptLog);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate int UpdateFn(IntPtr waiting, Native.mfa_transaction* soFar);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate IntPtr TokenFn(IntPtr waiting);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate void LogFn(IntPtr log, int level, IntPtr message);
#endif

#if NET5_0_OR_GREATER
        [UnmanagedCallersOnly(CallConvs = new[] { typeof(CallConvCdecl) })]
#else
        [MonoPInvokeCallback(typeof(UpdateFn))]
#endif
        private static int OnUpdate(IntPtr waiting, Native.mfa_transaction* soFar) => Target<Waiting>(waiting).Update(soFar);

#if NET5_0_OR_GREATER
        [UnmanagedCallersOnly(CallConvs = new[] { typeof(CallConvCdecl) })]
#else
        [MonoPInvokeCallback(typeof(TokenFn))]
#endif
        private static IntPtr OnTokenRefused(IntPtr waiting) => Target<Waiting>(waiting).FreshToken();

#if NET5_0_OR_GREATER
        [UnmanagedCallersOnly(CallConvs = new[] { typeof(CallConvCdecl) })]
#else
        [MonoPInvokeCallback(typeof(LogFn))]
#endif
        private static void OnLog(IntPtr log, int level, IntPtr message)
        {
            try
            {
                Target<Action<MfaLogLevel, string>>(log)((MfaLogLevel)level, Utf8.Read(message));
            }
            catch (Exception)
            {
                // Documented: there is nobody to tell, and a log changes no answer.
            }
        }

        private static T Target<T>(IntPtr userData) => (T)GCHandle.FromIntPtr(userData).Target!;
    }

    /// <summary>The caller's side of a wait: what its callbacks need, and what went wrong in them.</summary>
    internal sealed unsafe class Waiting : IDisposable
    {
        private readonly WaitOptions options;
        private readonly IProgress<Transaction>? progress;
        private readonly Texts freshTokens = new Texts();
        private GCHandle self;
        private ExceptionDispatchInfo? failure;

        internal Waiting(WaitOptions? options, IProgress<Transaction>? progress)
        {
            this.options = options ?? new WaitOptions();
            this.progress = progress;
            self = GCHandle.Alloc(this);
        }

        internal Native.mfa_wait_options ToNative() => new Native.mfa_wait_options
        {
            struct_size = (uint)sizeof(Native.mfa_wait_options),
            // Zero is "at once" here, and the default there.
            first_poll_ms = options.FirstPoll == TimeSpan.Zero
                ? 1 : Call.Milliseconds(options.FirstPoll, nameof(WaitOptions.FirstPoll)),
            min_interval_ms = Call.Milliseconds(options.MinInterval, nameof(WaitOptions.MinInterval)),
            max_interval_ms = Call.Milliseconds(options.MaxInterval, nameof(WaitOptions.MaxInterval)),
            cancel_on_timeout = options.CancelOnTimeout ? 1 : 0,
            flags = options.WithdrawOnCancel ? (uint)Native.MFA_WAIT_WITHDRAW_ON_CANCEL : 0,
            on_update = progress == null ? IntPtr.Zero : Callbacks.Update,
            on_update_user_data = GCHandle.ToIntPtr(self),
            access_token_provider = options.AccessTokenProvider == null ? IntPtr.Zero : Callbacks.FreshToken,
            access_token_provider_user_data = GCHandle.ToIntPtr(self),
        };

        /// <summary>Non-zero ends the wait.</summary>
        internal int Update(Native.mfa_transaction* soFar)
        {
            try
            {
                progress!.Report(Transaction.SoFar(soFar));
                return 0;
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                return 1;
            }
        }

        /// <summary>Null gives up. The text must outlast the return: libmfa copies it only then.</summary>
        internal IntPtr FreshToken()
        {
            try
            {
                return freshTokens.Pointer(options.AccessTokenProvider!(), nameof(WaitOptions.AccessTokenProvider));
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                return IntPtr.Zero;
            }
        }

        /// <summary>Back on the caller's side: throws what a callback threw, whatever the call came to.</summary>
        internal int Ended(int code)
        {
            failure?.Throw();
            return code;
        }

        public void Dispose()
        {
            self.Free();
            freshTokens.Dispose();
        }
    }

#if !NET5_0_OR_GREATER
    /// <summary>Tells Mono's and Unity's ahead-of-time compilers that native code calls a function; they know it by this name.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        internal MonoPInvokeCallbackAttribute(Type type)
        {
            Type = type;
        }

        internal Type Type { get; }
    }
#endif
}
