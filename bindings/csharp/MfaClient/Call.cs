using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>What every call has in common: a deadline, a cancel, an error, an answer.</summary>
    internal static unsafe class Call
    {
        /// <summary>The native call itself.</summary>
        internal delegate int Invocation<T>(Native.mfa_call_options* options, T* answer, Native.mfa_error* error)
            where T : unmanaged;

        /// <summary>Makes a call and returns its answer. <paramref name="answer"/> is how the answer begins.</summary>
        internal static T Run<T>(T answer, TimeSpan? timeout, CancellationToken cancellationToken, Invocation<T> invoke)
            where T : unmanaged
        {
            cancellationToken.ThrowIfCancellationRequested();
            var options = new Native.mfa_call_options
            {
                struct_size = (uint)sizeof(Native.mfa_call_options),
                timeout_ms = Milliseconds(timeout, nameof(timeout)),
            };
            var error = new Native.mfa_error { struct_size = (uint)sizeof(Native.mfa_error) };
            int code;
            if (cancellationToken.CanBeCanceled)
            {
                using var cancel = new CancelHandle();
                options.cancel = cancel.DangerousGetHandle();
                // Ends before `cancel` does, and waits for a trigger that is under way on another thread.
                using var registration = cancellationToken.Register(Trigger, cancel);
                code = invoke(&options, &answer, &error);
            }
            else
            {
                code = invoke(&options, &answer, &error);
            }
            if (code == Native.MFA_OK)
            {
                return answer;
            }
            var known = typeof(T) == typeof(Native.mfa_transaction)
                ? Transaction.OfCall(code, (Native.mfa_transaction*)&answer)
                : null;
            var failure = new MfaException(code, &error, known?.Id > 0 ? known : null);
            if (code == Native.MFA_ERR_CANCELLED)
            {
                throw new OperationCanceledException(failure.Message, failure, cancellationToken);
            }
            throw failure;
        }

        private static readonly Action<object?> Trigger = cancel => Native.mfa_cancel_trigger((CancelHandle)cancel!);

        /// <summary>On a thread of its own: a call may block for minutes, and the pool's threads are few.</summary>
        internal static Task<T> OnItsOwnThread<T>(Func<T> call, CancellationToken cancellationToken) =>
            cancellationToken.IsCancellationRequested
                ? Task.FromCanceled<T>(cancellationToken)
                : Task.Factory.StartNew(
                    call,
                    cancellationToken,
                    TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach,
                    TaskScheduler.Default);

        /// <summary>As the C interface counts; null is its 0, "the default". What it cannot express is refused.</summary>
        internal static uint Milliseconds(TimeSpan? time, string parameter)
        {
            if (time == null)
            {
                return 0;
            }
            double milliseconds = Math.Ceiling(time.Value.TotalMilliseconds);
            if (milliseconds < 1 || milliseconds > uint.MaxValue)
            {
                throw new ArgumentOutOfRangeException(
                    parameter, time, "A time is above zero and at most 49 days; null is the default.");
            }
            return (uint)milliseconds;
        }
    }

    /// <summary>Texts as native code wants them, for the length of a call; then overwritten, since a token may be among them.</summary>
    internal sealed class Texts : IDisposable
    {
        private readonly List<byte[]> arrays = new List<byte[]>();
        private readonly List<GCHandle> pins = new List<GCHandle>();

        /// <summary>For a parameter.</summary>
        internal byte[]? Bytes(string? text, string parameter)
        {
            byte[]? bytes = Utf8.Encode(text, parameter);
            if (bytes != null)
            {
                arrays.Add(bytes);
            }
            return bytes;
        }

        /// <summary>For a field, or for a callback to return.</summary>
        internal IntPtr Pointer(string? text, string parameter)
        {
            byte[]? bytes = Bytes(text, parameter);
            if (bytes == null)
            {
                return IntPtr.Zero;
            }
            var pin = GCHandle.Alloc(bytes, GCHandleType.Pinned);
            pins.Add(pin);
            return pin.AddrOfPinnedObject();
        }

        public void Dispose()
        {
            foreach (byte[] bytes in arrays)
            {
                Array.Clear(bytes, 0, bytes.Length);
            }
            foreach (GCHandle pin in pins)
            {
                pin.Free();
            }
        }
    }
}
