using System;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;

namespace MfaClient
{
    /// <summary>
    /// The caller's side of one asynchronous wait: tells what happens, fetches a fresh token, and makes the answer, in the
    /// caller's context, and on whichever thread is free for it. A callback that is slow keeps only its own call waiting.
    /// </summary>
    internal sealed class Following
    {
        private const string Refresh = "refreshAccessToken"; // as the calls name it
        private readonly Ticket ticket;
        private readonly IProgress<MfaTransaction>? progress;
        private readonly Func<CancellationToken, Task<string?>>? refreshAccessToken;
        private ExceptionDispatchInfo? failure;
        private CancellationTokenSource? stopRefreshing;
        private Task<string?>? coming;

        internal Following(
            Ticket ticket, IProgress<MfaTransaction>? progress, Func<CancellationToken, Task<string?>>? refreshAccessToken)
        {
            this.ticket = ticket;
            this.progress = progress;
            this.refreshAccessToken = refreshAccessToken;
        }

        /// <summary>
        /// Waits first, for the ticket is added only then. An async method that throws a cancel ends cancelled and keeps the
        /// exception, which SetCanceled would lose.
        /// </summary>
        internal async Task<MfaTransaction> ToTheEnd()
        {
            try
            {
                while (true)
                {
                    var news = await ticket;
                    switch (news.What)
                    {
                        case Happening.Kind.TokenRefused:
                            BeginToRefresh();
                            break;
                        case Happening.Kind.TokenCame:
                            GiveToken();
                            break;
                        case Happening.Kind.Ended:
                            return End(news);
                        default:
                            Report(news.Transaction!);
                            break;
                    }
                }
            }
            finally
            {
                StopRefreshing();
                ticket.Close();
            }
        }

        /// <summary>What a callback threw comes out, whatever the wait came to, but for the caller's own cancel.</summary>
        private MfaTransaction End(Happening news)
        {
            if (news.Failure == null)
            {
                Report(news.Transaction!);
            }
            if (failure != null && !IsOwnCancel(failure.SourceException))
            {
                failure.Throw();
            }
            return news.Failure == null ? news.Transaction! : throw news.Failure;
        }

        private void Report(MfaTransaction transaction)
        {
            if (progress == null || failure != null)
            {
                return;
            }
            try
            {
                progress.Report(transaction.AsReport());
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                ticket.Cancel();
            }
        }

        /// <summary>Elsewhere, so that the deadline is kept whatever it does.</summary>
        private void BeginToRefresh()
        {
            if (failure != null)
            {
                return;
            }
            stopRefreshing = CancellationTokenSource.CreateLinkedTokenSource(ticket.CancellationToken);
            var stop = stopRefreshing.Token;
            coming = Task.Run(() => refreshAccessToken!(stop) ?? throw new InvalidOperationException(Refresh + " returned no task."));
            coming.ContinueWith(
                came =>
                {
                    GC.KeepAlive(came.Exception); // it is seen, also if nobody waits for it any more
                    ticket.Post(Happening.TokenCame)?.Invoke();
                },
                CancellationToken.None,
                TaskContinuationOptions.DenyChildAttach,
                TaskScheduler.Default);
        }

        private void GiveToken()
        {
            try
            {
                ticket.GiveToken(coming!.GetAwaiter().GetResult(), Refresh);
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                if (!IsOwnCancel(e))
                {
                    ticket.GiveToken(null, Refresh);
                }
            }
            StopRefreshing();
        }

        private bool IsOwnCancel(Exception e) => e is OperationCanceledException && ticket.CancellationToken.IsCancellationRequested;

        /// <summary>Elsewhere, if it still runs: a cancel runs what it registered.</summary>
        private void StopRefreshing()
        {
            var stop = stopRefreshing;
            stopRefreshing = null;
            if (stop == null || coming!.IsCompleted)
            {
                stop?.Dispose();
                return;
            }
            Task.Run(() =>
            {
                try
                {
                    stop.Cancel();
                }
                catch (AggregateException)
                {
                    // Of the caller's own, and there is nobody to tell.
                }
                stop.Dispose();
            });
        }
    }
}
