using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;

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

        internal static IntPtr Token => (IntPtr)(delegate* unmanaged[Cdecl]<IntPtr, IntPtr>)&OnTokenRefused;

        internal static IntPtr Log => (IntPtr)(delegate* unmanaged[Cdecl]<IntPtr, int, IntPtr, void>)&OnLog;
#else
        // Static fields: native code may hold the pointers for ever.
        private static readonly UpdateFn KeptUpdate = OnUpdate;
        private static readonly TokenFn KeptToken = OnTokenRefused;
        private static readonly LogFn KeptLog = OnLog;

        internal static readonly IntPtr Update = Marshal.GetFunctionPointerForDelegate(KeptUpdate);

        internal static readonly IntPtr Token = Marshal.GetFunctionPointerForDelegate(KeptToken);

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
        private static IntPtr OnTokenRefused(IntPtr waiting) => Target<Waiting>(waiting).Token();

#if NET5_0_OR_GREATER
        [UnmanagedCallersOnly(CallConvs = new[] { typeof(CallConvCdecl) })]
#else
        [MonoPInvokeCallback(typeof(LogFn))]
#endif
        private static void OnLog(IntPtr log, int level, IntPtr message)
        {
            try
            {
                // Weak: gone, when the client is.
                (GCHandle.FromIntPtr(log).Target as Action<MfaLogLevel, string>)?.Invoke(
                    (MfaLogLevel)level, Names.InCSharp(Utf8.Read(message), Native.MFA_PROVIDER_NONE));
            }
            catch (ThreadInterruptedException)
            {
                Thread.CurrentThread.Interrupt();
            }
            catch (Exception)
            {
                // Documented: there is nobody to tell, and a log changes no answer.
            }
        }

        private static T Target<T>(IntPtr userData) => (T)GCHandle.FromIntPtr(userData).Target!;
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
