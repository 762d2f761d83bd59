using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;

namespace MfaClient
{
    /// <summary>
    /// The waits of one client. One thread drives them all: it is started for the first, and ends after the last. It only
    /// moves what happens to the tickets of the calls, so that nobody's callback keeps anybody waiting.
    /// </summary>
    internal sealed unsafe class Waits
    {
        /// <summary>Adds a wait to the waiter, with the ticket's handle as its user data.</summary>
        internal delegate int Addition(WaiterHandle waiter, IntPtr userData, out ulong number, Native.mfa_error* error);

        private readonly HyperIdHandle client;
        private readonly Native.mfa_waiter_options options;
        private readonly object gate = new object();
        private Driver? driver;

        internal Waits(HyperIdHandle client, Native.mfa_waiter_options options)
        {
            this.client = client;
            this.options = options;
        }

        /// <summary>For tests. Null: nobody is waited for, and there is no thread.</summary>
        internal WaiterHandle? Waiter
        {
            get
            {
                lock (gate)
                {
                    return driver?.Waiter;
                }
            }
        }

        /// <summary>From here on the ticket ends by what happens to it, this exception among it.</summary>
        /// <exception cref="MfaException">The system has no thread or descriptor for it.</exception>
        /// <exception cref="ArgumentException">The library refused what the call takes.</exception>
        internal void Add(Ticket ticket, Addition add)
        {
            lock (gate)
            {
                driver ??= Driver.Start(this);
                driver.Add(ticket, add);
            }
        }

        private sealed class Driver
        {
            private readonly Waits waits;
            private readonly HashSet<Ticket> tickets = new HashSet<Ticket>();
            private readonly Handover handover = new Handover();
            private volatile bool isStopping;
            private Thread? thread;

            /// <summary>2 seconds to withdraw, and a little for a slow machine.</summary>
            private static readonly TimeSpan TimeToStop = TimeSpan.FromSeconds(2.5);

            /// <summary>How often a driver that stops looks at the clock, in milliseconds.</summary>
            private const uint Tick = 50;

            private Driver(Waits waits)
            {
                this.waits = waits;
                Waiter = WaiterHandle.Open(waits.client, waits.options);
            }

            internal WaiterHandle Waiter { get; }

            /// <summary>With the gate held.</summary>
            internal static Driver Start(Waits waits)
            {
                var driver = new Driver(waits);
                try
                {
                    Threads.Start(driver.Run, "MfaClient waits");
                }
                catch
                {
                    driver.Waiter.Dispose();
                    throw;
                }
                return driver;
            }

            /// <summary>With the gate held, so that what happens to the ticket waits until it is here.</summary>
            internal void Add(Ticket ticket, Addition add)
            {
                var error = Native.mfa_error.Initial;
                tickets.Add(ticket);
                IntPtr userData = ticket.Hold(Waiter);
                int code = Native.MFA_ERR_INTERNAL;
                try
                {
                    code = add(Waiter, userData, out ticket.Number, &error);
                }
                finally
                {
                    if (code != Native.MFA_OK && ticket.Number != 0)
                    {
                        // The wait is there, and the thread was ended on its way back, as .NET Framework does: native code
                        // has the handle until the wait's end, and a handle that is freed may soon be another ticket's.
                        ticket.Cancel();
                    }
                    else if (code != Native.MFA_OK)
                    {
                        tickets.Remove(ticket);
                        ticket.LetGo();
                        Native.mfa_waiter_wake(Waiter); // perhaps nobody is left
                    }
                }
                if (code != Native.MFA_OK)
                {
                    throw MfaException.For(code, &error, null, default);
                }
            }

            private void Run()
            {
                thread = Thread.CurrentThread;
                AppDomain.CurrentDomain.ProcessExit += Stop;
                AppDomain.CurrentDomain.DomainUnload += Stop;
                try
                {
                    Drive();
                }
                catch (Exception e)
                {
                    EndAll(ticket => Failure(ticket, MfaErrorCode.Internal, e.Message, cause: e));
                }
                finally
                {
                    // Else these keep the assembly loaded.
                    AppDomain.CurrentDomain.ProcessExit -= Stop;
                    AppDomain.CurrentDomain.DomainUnload -= Stop;
                }
                handover.Finish();
                Waiter.Dispose();
            }

            /// <summary>
            /// When this has returned the program ends, and the waits' thread with it. So it waits for that one, which withdraws
            /// what is to be withdrawn, 2 seconds at the most. .NET Framework waits about as long for it, .NET without a bound.
            /// </summary>
            private void Stop(object? sender, EventArgs e)
            {
                isStopping = true;
                try
                {
                    Native.mfa_waiter_wake(Waiter);
                }
                catch (ObjectDisposedException)
                {
                    // It has just ended by itself.
                }
                // A log runs on the waits' own thread, and may be what ends the program.
                if (Thread.CurrentThread != thread)
                {
                    Interrupts.Outlast(() => thread!.Join(TimeToStop));
                }
            }

            private void Drive()
            {
                uint time = 0;
                Stopwatch? stopping = null;
                while (true)
                {
                    var happened = Native.mfa_event.Initial;
                    var transaction = Native.mfa_transaction.Initial;
                    var (why, error) = (Native.mfa_error.Initial, Native.mfa_error.Initial);
                    int code = Native.mfa_waiter_next(Waiter, time, &happened, &transaction, &why, &error);
                    if (code != Native.MFA_OK)
                    {
                        string message = Names.InCSharp(Utf8.Read(error.message, 256), error.provider);
                        int osError = error.os_error;
                        EndAll(ticket => Failure(ticket, (MfaErrorCode)code, message, osError));
                        return;
                    }
                    if (happened.kind != Native.MFA_EVENT_NONE)
                    {
                        Tell(&happened, &transaction, &why);
                    }
                    if (isStopping)
                    {
                        if (stopping == null)
                        {
                            stopping = Stopwatch.StartNew();
                            CancelAll();
                        }
                        if (stopping.Elapsed >= TimeToStop)
                        {
                            EndAll(ticket => Failure(ticket, MfaErrorCode.Cancelled, "the program ends, and nobody waits on"));
                            return;
                        }
                    }
                    time = stopping == null ? handover.Look() : Math.Min(handover.Look(), Tick);
                    if (happened.kind is Native.MFA_EVENT_NONE or Native.MFA_EVENT_ENDED && IsOver())
                    {
                        return;
                    }
                }
            }

            private void Tell(Native.mfa_event* happened, Native.mfa_transaction* transaction, Native.mfa_error* why)
            {
                var ticket = Ticket.Of(happened->user_data);
                var news = Happening.Of(happened, transaction, why, ticket.CancellationToken);
                if (happened->kind == Native.MFA_EVENT_ENDED)
                {
                    // A log that interrupts its thread costs nobody's answer.
                    Interrupts.Outlast(() => Forget(ticket));
                    ticket.LetGo();
                }
                Post(ticket, news);
            }

            private void Forget(Ticket ticket)
            {
                lock (waits.gate)
                {
                    tickets.Remove(ticket);
                }
            }

            private void Post(Ticket ticket, Happening news)
            {
                if (ticket.Post(news) is { } reader)
                {
                    handover.Give(reader);
                }
            }

            /// <summary>Nobody is left. Whoever comes later gets another driver.</summary>
            private bool IsOver()
            {
                bool isOver = false;
                Interrupts.Outlast(() =>
                {
                    lock (waits.gate)
                    {
                        isOver = tickets.Count == 0;
                        if (isOver)
                        {
                            Leave();
                        }
                    }
                });
                return isOver;
            }

            /// <summary>Each as its call would have it: withdrawn, or left on the phone. Whoever comes now gets another driver.</summary>
            private void CancelAll()
            {
                var all = new List<Ticket>();
                Interrupts.Outlast(() =>
                {
                    lock (waits.gate)
                    {
                        Leave();
                        all.AddRange(tickets);
                    }
                });
                all.ForEach(ticket => ticket.Cancel());
            }

            /// <summary>With the gate held.</summary>
            private void Leave()
            {
                if (waits.driver == this)
                {
                    waits.driver = null;
                }
            }

            private void EndAll(Func<Ticket, Exception> failure)
            {
                var left = new List<Ticket>();
                Interrupts.Outlast(() =>
                {
                    lock (waits.gate)
                    {
                        Leave();
                        left.AddRange(tickets);
                        tickets.Clear();
                    }
                });
                foreach (var ticket in left)
                {
                    ticket.LetGo();
                    Post(ticket, Happening.Broken(failure(ticket)));
                }
            }

            /// <summary>What was sent may be on the phone: nobody reads on what comes of it.</summary>
            private static MfaException Failure(
                Ticket ticket, MfaErrorCode code, string message, int osError = 0, Exception? cause = null) => new MfaException(
                    code,
                    message,
                    ticket.Known,
                    outcomeUnknown: ticket.MayHaveAsked,
                    provider: MfaProvider.HyperId,
                    osError: osError == 0 ? null : osError,
                    innerException: cause);
        }
    }

    /// <summary>
    /// Gives work to the pool, since the waits' thread must not do it: it runs what other people wrote. Where the pool does
    /// not come to it, because each of its threads is blocked, perhaps in waiting for this very work, a thread of its own
    /// does it. Belongs to one thread.
    /// </summary>
    internal sealed class Handover
    {
        private const uint Long = 3_600_000;
        private const int Patience = 50;
        private readonly Queue<Work> given = new Queue<Work>();

        internal void Give(Action action)
        {
            var work = new Work(action);
            given.Enqueue(work);
            try
            {
                ThreadPool.UnsafeQueueUserWorkItem(Begin, work);
            }
            catch (Exception e) when (e is OutOfMemoryException or NotSupportedException)
            {
                // Then a thread of its own does it.
            }
        }

        /// <summary>Sees to what the pool left lying. Returns the milliseconds until the next look.</summary>
        internal uint Look()
        {
            while (given.Count > 0)
            {
                var oldest = given.Peek();
                if (!oldest.HasBegun)
                {
                    int left = Patience - oldest.Age;
                    if (left > 0 || !HasStarted(oldest))
                    {
                        return (uint)Math.Max(left, 1);
                    }
                }
                given.Dequeue();
            }
            return Long;
        }

        /// <summary>Returns when all of it has begun.</summary>
        internal void Finish()
        {
            while (given.Count > 0)
            {
                uint time = Look();
                if (given.Count > 0)
                {
                    Interrupts.Outlast(() => Thread.Sleep((int)time));
                }
            }
        }

        private static readonly WaitCallback Begin = work => ((Work)work!).Begin();

        private static bool HasStarted(Work work)
        {
            try
            {
                Threads.Start(work.Begin, "MfaClient call");
                return true;
            }
            catch (MfaException)
            {
                return false;
            }
        }

        private sealed class Work
        {
            private readonly int since = Environment.TickCount;
            private Action? action;

            internal Work(Action action)
            {
                this.action = action;
            }

            internal bool HasBegun => Volatile.Read(ref action) == null;

            internal int Age => unchecked(Environment.TickCount - since);

            internal void Begin() => Interlocked.Exchange(ref action, null)?.Invoke();
        }
    }

    internal static class Threads
    {
        /// <summary>In the background, and without the context of whoever happens to start it.</summary>
        /// <exception cref="MfaException">The system has no thread left.</exception>
        internal static void Start(ThreadStart run, string name)
        {
            bool isFlowing = !ExecutionContext.IsFlowSuppressed();
            var flow = isFlowing ? ExecutionContext.SuppressFlow() : default;
            try
            {
                new Thread(run) { IsBackground = true, Name = name }.Start();
            }
            catch (SystemException e)
            {
                throw new MfaException(MfaErrorCode.Internal, "The system has no thread for the call; nothing was sent.", innerException: e);
            }
            finally
            {
                if (isFlowing)
                {
                    flow.Undo();
                }
            }
        }
    }
}
