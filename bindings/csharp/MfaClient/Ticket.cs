using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace MfaClient
{
    /// <summary>What happened to one wait.</summary>
    internal sealed class Happening
    {
        private Happening(Kind what, MfaTransaction? transaction, Exception? failure)
        {
            What = what;
            Transaction = transaction;
            Failure = failure;
        }

        /// <summary>In the order in which they are told.</summary>
        internal enum Kind
        {
            Started,
            Updated,
            TokenRefused,
            TokenCame,
            Ended,
        }

        internal Kind What { get; }

        internal MfaTransaction? Transaction { get; }

        internal Exception? Failure { get; }

        /// <summary>The answer to a refused token has come.</summary>
        internal static Happening TokenCame { get; } = new Happening(Kind.TokenCame, null, null);

        /// <summary>The wait goes on no more, without an answer of the library's.</summary>
        internal static Happening Broken(Exception failure) => new Happening(Kind.Ended, null, failure);

        internal static unsafe Happening Of(
            Native.mfa_event* happened, Native.mfa_transaction* transaction, Native.mfa_error* why, CancellationToken cancellationToken)
        {
            var known = MfaTransaction.OfEvent(happened, transaction);
            switch (happened->kind)
            {
                case Native.MFA_EVENT_STARTED:
                    return new Happening(Kind.Started, known, null);
                case Native.MFA_EVENT_UPDATE:
                    return new Happening(Kind.Updated, known, null);
                case Native.MFA_EVENT_TOKEN_REFUSED:
                    return new Happening(Kind.TokenRefused, known, null);
                default:
                    return happened->code == Native.MFA_OK
                        ? new Happening(Kind.Ended, known, null)
                        : new Happening(Kind.Ended, null, MfaException.For(happened->code, why, known.Id > 0 ? known : null, cancellationToken));
            }
        }
    }

    /// <summary>
    /// One call's place in the waiter. What happens to the wait is put here by the waits' thread, and awaited by the call:
    /// of each kind the newest, so that a slow callback costs no memory.
    /// </summary>
    internal sealed class Ticket : ICriticalNotifyCompletion
    {
        private static int held;
        private readonly bool mayAsk;
        private readonly uint cancelFlags;
        private readonly Happening?[] mail = new Happening?[5];
        private readonly object gate = new object();
        private GCHandle self;
        private Action? reader;
        private WaiterHandle? waiter;
        private CancellationTokenRegistration cancelling;
        private bool isClosed;

        internal Ticket(bool mayAsk, bool withdraws, CancellationToken cancellationToken)
        {
            this.mayAsk = mayAsk;
            cancelFlags = withdraws ? (uint)Native.MFA_CANCEL_WITHDRAW : 0;
            CancellationToken = cancellationToken;
        }

        /// <summary>For tests: the handles that native code has.</summary>
        internal static int Held => Volatile.Read(ref held);

        internal CancellationToken CancellationToken { get; }

        /// <summary>Native code writes it before the wait's first event can be seen.</summary>
        internal ulong Number;

        /// <summary>What was known of the transaction last.</summary>
        internal MfaTransaction? Known { get; private set; }

        /// <summary>A person may have been asked, and nobody knows the id.</summary>
        internal bool MayHaveAsked => mayAsk && Known == null;

        // Native code's side. The handle is made before the wait is added, since its first event may come before that
        // has returned, and is freed once: with its last event, or when it was not added.

        internal IntPtr Hold(WaiterHandle waiter)
        {
            this.waiter = waiter;
            self = GCHandle.Alloc(this);
            Interlocked.Increment(ref held);
            return GCHandle.ToIntPtr(self);
        }

        internal void LetGo()
        {
            self.Free();
            Interlocked.Decrement(ref held);
        }

        internal static Ticket Of(IntPtr userData) => (Ticket)GCHandle.FromIntPtr(userData).Target!;

        /// <summary>Only asks for the end: it comes as any other does.</summary>
        internal unsafe void Cancel()
        {
            var error = Native.mfa_error.Initial;
            try
            {
                // Nothing is to be done about a refusal: the wait goes on, to its deadline at most.
                _ = Native.mfa_waiter_cancel(waiter!, Number, cancelFlags, &error);
            }
            catch (ObjectDisposedException)
            {
                // It has ended, and the waiter with it.
            }
        }

        /// <summary>Null: there is none, and the wait ends with the refusal.</summary>
        internal unsafe void GiveToken(string? token, string parameter)
        {
            using var texts = new Texts();
            byte[]? bytes = token == null ? null : texts.Token(token, parameter);
            var error = Native.mfa_error.Initial;
            try
            {
                int code = Native.mfa_waiter_give_token(waiter!, Number, bytes!, &error);
                if (code != Native.MFA_OK)
                {
                    throw MfaException.For(code, &error, Known, default);
                }
            }
            catch (ObjectDisposedException)
            {
                // As above.
            }
        }

        // The caller's cancel.

        /// <summary>Once it is added: until then there is nothing to cancel.</summary>
        internal void Watch()
        {
            var registration = default(CancellationTokenRegistration);
            try
            {
                registration = CancellationToken.Register(state => ((Ticket)state!).Cancel(), this, useSynchronizationContext: false);
            }
            catch (ObjectDisposedException)
            {
                // Nobody can cancel it any more.
            }
            bool isLate = false;
            Interrupts.Outlast(() =>
            {
                lock (gate)
                {
                    isLate = isClosed;
                    cancelling = registration;
                }
            });
            if (isLate)
            {
                registration.Dispose();
            }
        }

        /// <summary>The call is over.</summary>
        internal void Close()
        {
            var registration = default(CancellationTokenRegistration);
            Interrupts.Outlast(() =>
            {
                lock (gate)
                {
                    isClosed = true;
                    registration = cancelling;
                }
            });
            Interrupts.Outlast(() => registration.Dispose());
        }

        // What happens. Without a lock, since a callback may have interrupted the thread that reads.

        /// <summary>Returns who has to be told, if somebody waits for it.</summary>
        internal Action? Post(Happening news)
        {
            if (news.What != Happening.Kind.Ended && news.Transaction is { Id: > 0 } known)
            {
                Known = known;
            }
            Interlocked.Exchange(ref mail[(int)news.What], news);
            return Interlocked.Exchange(ref reader, null);
        }

        public Ticket GetAwaiter() => this;

        public bool IsCompleted => First() >= 0;

        public Happening GetResult()
        {
            // What was put there before the one that is seen now is seen at the second look, and goes first.
            _ = First();
            return Interlocked.Exchange(ref mail[First()], null)!;
        }

        public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

        public void UnsafeOnCompleted(Action continuation)
        {
            Interlocked.Exchange(ref reader, continuation);
            if (IsCompleted)
            {
                Interlocked.Exchange(ref reader, null)?.Invoke();
            }
        }

        private int First()
        {
            int at = 0;
            while (at < mail.Length && Volatile.Read(ref mail[at]) == null)
            {
                at++;
            }
            return at < mail.Length ? at : -1;
        }
    }
}
