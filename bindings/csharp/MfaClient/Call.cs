using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>
    /// One call: what it takes is checked, copied and encoded when it is made, and it holds its client from then on, so
    /// that nothing of the caller's is read later. It runs once: here, or on a thread of its own.
    /// </summary>
#pragma warning disable CA1001 // It lets go of what it holds when it has run.
    internal sealed unsafe class Call<TAnswer>
#pragma warning restore CA1001
    {
        /// <summary>The native call itself.</summary>
        internal delegate int Invocation(Native.mfa_call_options* options, Native.mfa_error* error, out TAnswer answer);

        /// <summary>Checks and encodes, and says how to call.</summary>
        internal delegate Invocation Preparation(Texts texts);

        private readonly Texts texts = new Texts();
        private readonly ClientHandle client;
        private readonly uint milliseconds;
        private readonly Waiting? waiting;
        private readonly CancellationToken cancellationToken;
        private readonly Invocation invoke;

#pragma warning disable CA1068 // Reads best with the function last.
        internal Call(
            ClientHandle client, TimeSpan? timeout, CancellationToken cancellationToken, Waiting? waiting, Preparation prepare)
#pragma warning restore CA1068
        {
            this.client = client;
            this.waiting = waiting;
            this.cancellationToken = cancellationToken;
            bool isHeld = false;
            try
            {
                milliseconds = Time.Milliseconds(timeout, nameof(timeout));
                invoke = prepare(texts);
                client.DangerousAddRef(ref isHeld);
            }
            catch
            {
                Release(isHeld);
                throw;
            }
        }

        /// <summary>On the caller's thread.</summary>
        internal TAnswer Run()
        {
            try
            {
                cancellationToken.ThrowIfCancellationRequested();
                return Invoke();
            }
            finally
            {
                Release(isHeld: true);
            }
        }

        /// <summary>On a thread of its own, for its one exchange: it may block for a while, and the pool's threads are few.</summary>
        internal Task<TAnswer> RunAsync()
        {
            if (cancellationToken.IsCancellationRequested)
            {
                Release(isHeld: true);
                return Task.FromCanceled<TAnswer>(cancellationToken);
            }
            var ended = new TaskCompletionSource<Func<TAnswer>>();
            try
            {
                Threads.Start(() => ended.SetResult(Outcome()), "MfaClient call");
            }
            catch (MfaException e)
            {
                Release(isHeld: true);
                return Task.FromException<TAnswer>(e);
            }
            return Calls.Unwrap(ended.Task);
        }

        private Func<TAnswer> Outcome()
        {
            try
            {
                var answer = Run();
                return () => answer;
            }
            catch (Exception e)
            {
                var thrown = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(e);
                return () =>
                {
                    thrown.Throw();
                    throw e;
                };
            }
        }

        private void Release(bool isHeld)
        {
            waiting?.Dispose();
            texts.Dispose();
            if (isHeld)
            {
                client.DangerousRelease();
            }
        }

        private TAnswer Invoke()
        {
            var options = Native.mfa_call_options.Initial;
            var error = Native.mfa_error.Initial;
            options.timeout_ms = milliseconds;
            int code;
            TAnswer answer;
            if (cancellationToken.CanBeCanceled)
            {
                var cancel = new CancelHandle();
                var registration = default(CancellationTokenRegistration);
                try
                {
                    options.cancel = cancel.DangerousGetHandle();
                    registration = cancellationToken.Register(Trigger, cancel);
                    code = invoke(&options, &error, out answer);
                }
                finally
                {
                    // The answer is there: an interrupt that is pending must not replace it.
                    Interrupts.Outlast(() => registration.Dispose());
                    cancel.Dispose();
                }
            }
            else
            {
                code = invoke(&options, &error, out answer);
            }
            var known = answer is MfaTransaction { Id: > 0 } seen ? seen : null;
            waiting?.ThrowWhatACallbackThrew(code, &error, known);
            return code == Native.MFA_OK ? answer : throw MfaException.For(code, &error, known, cancellationToken);
        }

        private static readonly Action<object?> Trigger = cancel =>
        {
            try
            {
                Native.mfa_cancel_trigger((CancelHandle)cancel!);
            }
            catch (ObjectDisposedException)
            {
                // The call has ended meanwhile.
            }
        };
    }

    internal static class Calls
    {
        /// <summary>
        /// An async method that throws a cancel ends cancelled and keeps the exception, which SetCanceled would lose. It
        /// goes on where the call ended, so that it needs no thread of the pool.
        /// </summary>
        internal static async Task<TAnswer> Unwrap<TAnswer>(Task<Func<TAnswer>> ended) =>
            (await ended.ConfigureAwait(false))();
    }

    internal static class Interrupts
    {
        /// <summary>Does something that may block, whatever Thread.Interrupt says, and lets it say so afterwards.</summary>
        internal static void Outlast(Action action)
        {
            bool interrupted = false;
            while (true)
            {
                try
                {
                    action();
                    break;
                }
                catch (ThreadInterruptedException)
                {
                    interrupted = true;
                }
            }
            if (interrupted)
            {
                Thread.CurrentThread.Interrupt();
            }
        }
    }

    internal static class Time
    {
        /// <summary>As the C interface counts; null is its 0, "the default". What it cannot express is refused.</summary>
        internal static uint Milliseconds(TimeSpan? time, string parameter, string? property = null)
        {
            if (time == null)
            {
                return 0;
            }
            double milliseconds = Math.Ceiling(time.Value.TotalMilliseconds);
            if (milliseconds < 1 || milliseconds > uint.MaxValue)
            {
                throw new ArgumentOutOfRangeException(
                    parameter, time, $"{property ?? parameter} is above zero and at most 49 days; null is the default.");
            }
            return (uint)milliseconds;
        }
    }

    /// <summary>Texts as native code wants them, for the length of a call; then overwritten, since a token may be among them.</summary>
    internal sealed class Texts : IDisposable
    {
        private const int LongestToken = 16384;
        private readonly List<byte[]> arrays = new List<byte[]>();
        private readonly List<GCHandle> pins = new List<GCHandle>();

        /// <summary>A token, or what else becomes part of a header.</summary>
        internal byte[] Token(string? text, string parameter)
        {
            byte[] bytes = Required(text, parameter);
            if (text!.Length > LongestToken)
            {
                throw new ArgumentException($"{parameter} is longer than {LongestToken} characters.", parameter);
            }
            if (text.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            {
                throw new ArgumentException($"{parameter} begins with \"Bearer \": leave that out, libmfa writes it itself.", parameter);
            }
            foreach (char character in text)
            {
                if (character < '!' || character > '~')
                {
                    throw new ArgumentException(
                        $"{parameter} has a character that no token has: a blank, a line break, or one outside ASCII.", parameter);
                }
            }
            return bytes;
        }

        /// <summary>For a parameter that must be there.</summary>
        internal byte[] Required(string? text, string parameter)
        {
            if (string.IsNullOrEmpty(text))
            {
                throw text == null ? new ArgumentNullException(parameter) : new ArgumentException(parameter + " is empty.", parameter);
            }
            return Bytes(text, parameter, parameter)!;
        }

        /// <summary>For a field, or for a callback to return.</summary>
        internal IntPtr Pointer(string? text, string parameter, string property)
        {
            byte[]? bytes = Bytes(text, parameter, property);
            return bytes == null ? IntPtr.Zero : Pin(bytes);
        }

        internal IntPtr Pin(byte[] bytes)
        {
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
            arrays.Clear();
            pins.Clear();
        }

        private byte[]? Bytes(string? text, string parameter, string property)
        {
            byte[]? bytes = Utf8.Encode(text, parameter, property);
            if (bytes != null)
            {
                arrays.Add(bytes);
            }
            return bytes;
        }
    }
}
