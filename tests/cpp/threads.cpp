// Eight threads on one client, each with its own people; and thousands of clients, waiters and cancel
// objects that come and go.
#include "check.hpp"

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

static constexpr int threads = 8;
static constexpr int rounds = 40;

struct person {
    const char* behaviours;
    mfa::decision decision;
};

static constexpr person people[] = {
    {"approve-after-0", mfa::decision::approved}, {"deny-after-0", mfa::decision::denied},
    {"expire-after-0", mfa::decision::expired},   {"declined-after-0", mfa::decision::cancelled},
    {"failed-after-0", mfa::decision::failed},
};

// What one thread got wrong.
static int ask(const mfa::hyperid& client, int number)
{
    auto wait = quick();
    wait.min_interval = 10ms;
    int wrong = 0;
    for (int i = 0; i < rounds; i++) {
        const auto& person = people[static_cast<std::size_t>(i + number) % std::size(people)];
        std::int64_t seen = 0;
        wait.on_update = [&](const mfa::snapshot& so_far) {
            seen = so_far.id();
            return mfa::waiting::go_on;
        };
        const auto answer = client.confirm(fresh(person.behaviours), question(), wait);
        wrong += answer.ok() && answer.value().decision() == person.decision && answer.value().id() == seen &&
                         mfa::is_approved(answer) == (person.decision == mfa::decision::approved)
                     ? 0
                     : 1;
    }
    return wrong;
}

static void many_threads()
{
    std::atomic<int> lines{0};
    auto options = loopback_options(sandbox_url());
    options.log_level = mfa::log_level::debug;
    options.log = [&](mfa::log_level, std::string_view) { lines++; };
    const auto client = need(mfa::hyperid::create(options));
    std::atomic<int> wrong{0};
    std::vector<std::thread> running;
    for (int i = 0; i < threads; i++) {
        running.emplace_back([&client, &wrong, i] { wrong += ask(client, i); });
    }
    for (auto& thread : running) {
        thread.join();
    }
    check(wrong == 0, "eight threads: each call gets its own person's answer", std::to_string(wrong.load()));
    check(lines >= threads * rounds * 3, "eight threads: each request has its line", std::to_string(lines.load()));
}

static std::size_t resident_kib()
{
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word == "VmRSS:") {
            std::size_t kib = 0;
            status >> kib;
            return kib;
        }
    }
    return 0;
}

// A sanitizer keeps freed memory for a while, and finds leaks by itself.
#if defined(__SANITIZE_ADDRESS__)
static constexpr bool memory_counts = false;
#elif defined(__has_feature)
static constexpr bool memory_counts = !__has_feature(address_sanitizer);
#else
static constexpr bool memory_counts = true;
#endif

static std::size_t open_files()
{
    std::size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
        static_cast<void>(file);
        count++;
    }
    return count;
}

static void open_and_close(int times)
{
    auto options = loopback_options(sandbox_url());
    options.log_level = mfa::log_level::debug;
    options.log = [text = std::string(100, 'x')](mfa::log_level, std::string_view) {};
    for (int i = 0; i < times; i++) {
        auto client = need(mfa::hyperid::create(options));
        const auto capillary = need(mfa::capillary::create(options));
        const mfa::cancel cancel;
        if (i % 50 == 0) {
            static_cast<void>(client.availability(fresh("approve")));
        }
        if (i % 10 == 0) {
            // Its wait is dropped with it.
            auto waiter = need(mfa::waiter::create(client));
            mfa::wait_callbacks calls;
            calls.on_ended = [text = std::string(1000, 'x')](const mfa::ended&) {};
            static_cast<void>(need(waiter.wait(fresh("approve"), 1, calls)));
            static_cast<void>(need(waiter.next(0ms)));
        }
        if (i % 3 == 0) {
            client = need(mfa::hyperid::create(options));
        }
    }
}

static void many_handles()
{
    open_and_close(500);
    const auto before = resident_kib();
    const auto files_before = open_files();
    open_and_close(3000);
    const auto after = resident_kib();
    check(after < before + 8192 || !memory_counts, "thousands of handles: memory does not grow",
          std::to_string(before) + " to " + std::to_string(after) + " KiB");
    check(open_files() <= files_before, "thousands of handles: descriptors do not grow",
          std::to_string(files_before) + " to " + std::to_string(open_files()));
}

int main()
{
    many_threads();
    many_handles();
    return check_finish();
}
