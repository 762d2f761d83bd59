using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace MfaClient.Bench
{
    /// <summary>
    /// What a call from C# costs above the same call from C: availability against a server that does as little as can
    /// be, on one connection, each kind of call in turn and in an order that changes.
    /// </summary>
    internal static unsafe class Bench
    {
        private const int WarmUp = 20000;
        private const int Rounds = 40000;
        private static readonly string[] Functions = { "mfa_hyperid_availability", "mfa_cancel_new", "mfa_cancel_free" };

        private static int Main(string[] words)
        {
            NativeLibrary.SetDllImportResolver(typeof(HyperIdClient).Assembly, (_, _, _) => NativeLibrary.Load(words[0]));
            int port = Serve();
            using var client = new HyperIdClient(new MfaClientOptions
            {
                BaseUrl = "http://127.0.0.1:" + port,
                AllowLoopbackHttp = true,
            });
            IntPtr handle = ((SafeHandle)typeof(HyperIdClient)
                .GetField("handle", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(client)!).DangerousGetHandle();
            IntPtr mfa = NativeLibrary.Load(words[0]);
            var functions = Functions
                .Select(name => NativeLibrary.GetExport(mfa, name)).ToArray();
            var inC = (delegate* unmanaged[Cdecl]<IntPtr*, IntPtr, byte*, int, long>)NativeLibrary.GetExport(
                NativeLibrary.Load(Path.Combine(AppContext.BaseDirectory, "bench.so")), "bench_availability");
            using var cancel = new CancellationTokenSource();
            var times = new[] { new List<double>(), new List<double>(), new List<double>(), new List<double>() };
            fixed (byte* token = Encoding.ASCII.GetBytes("token\0"))
            fixed (IntPtr* library = functions)
            {
                for (int round = -WarmUp; round < Rounds; round++)
                {
                    for (int turn = 0; turn < times.Length; turn++)
                    {
                        // Each kind follows each other one equally often.
                        int kind = (round & 4) == 0 ? (turn + (round & 3)) % 4 : (7 - turn + (round & 3)) % 4;
                        double time = kind switch
                        {
                            0 or 1 => inC(library, handle, token, kind) / 1000.0,
                            2 => Measure(client, default),
                            _ => Measure(client, cancel.Token),
                        };
                        if (round >= 0)
                        {
                            times[kind].Add(time);
                        }
                    }
                }
            }
            Tell("C", times[0], times[0]);
            Tell("C#", times[2], times[0]);
            Tell("C, with a cancel object", times[1], times[1]);
            Tell("C#, CancellationToken", times[3], times[1]);
            return 0;
        }

        private static double Measure(HyperIdClient client, CancellationToken cancellationToken)
        {
            long begin = Stopwatch.GetTimestamp();
            bool available = client.IsAvailable("token", null, cancellationToken);
            long end = Stopwatch.GetTimestamp();
            return available ? (end - begin) * 1e6 / Stopwatch.Frequency : throw new InvalidOperationException();
        }

        private static void Tell(string name, List<double> times, List<double> reference)
        {
            double At(List<double> list, double part) => list.OrderBy(time => time).ElementAt((int)(list.Count * part));
            Console.WriteLine(
                $"{name,-24} p10 {At(times, .1),7:0.00} us  p50 {At(times, .5),7:0.00} us   over C: p10 " +
                $"{At(times, .1) - At(reference, .1),6:0.00} us  p50 {At(times, .5) - At(reference, .5),6:0.00} us");
        }

        private static int Serve()
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            byte[] answer = Encoding.ASCII.GetBytes(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n{\"result\":0,\"is_available\": true }");
            var accepting = new Thread(() =>
            {
                while (true)
                {
                    var socket = listener.AcceptSocket();
                    socket.NoDelay = true;
                    var serving = new Thread(() => Answer(socket, answer)) { IsBackground = true };
                    serving.Start();
                }
            })
            { IsBackground = true };
            accepting.Start();
            return ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        /// <summary>A request comes in one piece: libmfa writes it so.</summary>
        private static void Answer(Socket socket, byte[] answer)
        {
            byte[] buffer = new byte[16384];
            while (socket.Receive(buffer) > 0)
            {
                socket.Send(answer);
            }
        }
    }
}
