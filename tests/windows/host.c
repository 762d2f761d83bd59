/*
 * The library in a Windows program: it stays loaded, has no descriptor to give, tells the system's own
 * numbers, leaves no socket to be inherited, and is cancelled and driven by other threads.
 */
#include "waiter.h"

/* Stays loaded ---------------------------------------------------------------------------------- */

/* Loads a copy of the library under another name, so that this program does not hold it itself. */
static void stays_loaded(void)
{
    typedef mfa_code (*new_function)(const mfa_client_options *, mfa_hyperid **, mfa_error *);
    typedef void (*free_function)(mfa_hyperid *);
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;
    union {
        FARPROC any;
        new_function make;
        free_function free;
    } function;
    HMODULE library;

    need(CopyFileA("mfa.dll", "mfa-again.dll", FALSE), "copy mfa.dll");
    library = LoadLibraryA("mfa-again.dll");
    need(library != NULL, "load mfa-again.dll");
    FreeLibrary(library);
    check(GetModuleHandleA("mfa-again.dll") == NULL, "a library that nobody used is unloaded", "it is there");
    library = LoadLibraryA("mfa-again.dll");
    function.any = GetProcAddress(library, "mfa_hyperid_new");
    check_int("a client of the copy", function.make(NULL, &client, &err), MFA_OK);
    function.any = GetProcAddress(library, "mfa_hyperid_free");
    function.free(client);
    FreeLibrary(library);
    FreeLibrary(library);
    check(GetModuleHandleA("mfa-again.dll") == library, "one that was used stays loaded", "it is gone");
}

/* The system's own number ----------------------------------------------------------------------- */

static void tells_winsocks_number(void)
{
    struct listener nobody;
    mfa_error err = MFA_ERROR_INIT;
    mfa_availability answer = MFA_AVAILABILITY_INIT;
    mfa_call_options options = within(20000, NULL);
    mfa_hyperid *client;

    closed_port(&nobody);
    client = hyperid_at(nobody.url);
    check_code("nobody listens", mfa_hyperid_availability(client, "t", &options, &answer, &err),
               MFA_ERR_CONNECT, &err);
    check_int("os_error is WSAECONNREFUSED", err.os_error, WSAECONNREFUSED);
    mfa_hyperid_free(client);
}

/* Its version ----------------------------------------------------------------------------------- */

static void shows_its_version(void)
{
    static char information[10000];
    char *text = NULL;
    UINT size = 0;

    check(GetFileVersionInfoA("mfa.dll", 0, sizeof information, information) != 0, "the file has a version",
          "error %lu", (unsigned long)GetLastError());
    VerQueryValueA(information, "\\StringFileInfo\\040904B0\\FileVersion", (void **)&text, &size);
    check(text != NULL && strcmp(text, mfa_version()) == 0, "its version is the library's", "%s",
          text == NULL ? "it has none" : text);
}

/* Other threads --------------------------------------------------------------------------------- */

static DWORD WINAPI trigger_soon(void *cancel)
{
    pause_ms(100);
    mfa_cancel_trigger((mfa_cancel *)cancel);
    return 0;
}

static void cancelled_by_another_thread(const char *url)
{
    mfa_hyperid *client = hyperid_at(url);
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_call_options options = within(60000, cancel);
    mfa_request request = MFA_REQUEST_INIT;
    mfa_transaction answer = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    HANDLE thread = CreateThread(NULL, 0, trigger_soon, cancel, 0, NULL);
    int64_t began = now_ms();
    mfa_code code;

    need(thread != NULL, "CreateThread");
    request.question = "?";
    code = mfa_hyperid_confirm(client, "sandbox-never", &request, NULL, &options, &answer, &err);
    check_code("cancelled by another thread", code, MFA_ERR_CANCELLED, &err);
    check(now_ms() - began < 100 + GENEROUS_MS, "soon after", "%lld ms", (long long)(now_ms() - began));
    check(!mfa_is_approved(code, &answer), "and not approved", "it is");
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    mfa_cancel_free(cancel);
    mfa_hyperid_free(client);
}

#define PEOPLE 20

struct driver {
    mfa_waiter *waiter;
    int approved;
    int ended;
    int woken;
};

/* The waiter's own thread: what takes the place of the descriptor that there is none of. */
static DWORD WINAPI drive(void *argument)
{
    struct driver *driver = (struct driver *)argument;
    int64_t until = now_ms() + 60000;

    while (driver->ended < PEOPLE && now_ms() < until) {
        mfa_event event = MFA_EVENT_INIT;
        mfa_transaction answer = MFA_TRANSACTION_INIT;
        mfa_error err = MFA_ERROR_INIT;

        if (mfa_waiter_next(driver->waiter, 60000, &event, &answer, NULL, &err) != MFA_OK) {
            return 1;
        }
        driver->woken += event.kind == MFA_EVENT_NONE;
        driver->ended += event.kind == MFA_EVENT_ENDED;
        driver->approved += mfa_event_is_approved(&event, &answer);
    }
    return 0;
}

static void a_waiter_in_a_thread_of_its_own(const char *url)
{
    mfa_hyperid *client = hyperid_at(url);
    mfa_error err = MFA_ERROR_INIT;
    struct driver driver;
    HANDLE thread;
    int i;

    memset(&driver, 0, sizeof driver);
    need(mfa_waiter_new(client, NULL, &driver.waiter, &err) == MFA_OK, "mfa_waiter_new");
    check_int("it has no descriptor", mfa_waiter_fd(driver.waiter), -1);
    thread = CreateThread(NULL, 0, drive, &driver, 0, NULL);
    need(thread != NULL, "CreateThread");
    pause_ms(50);
    mfa_waiter_wake(driver.waiter);
    for (i = 0; i < PEOPLE; i++) {
        mfa_request request = MFA_REQUEST_INIT;
        uint64_t ticket = 0;

        request.question = "?";
        check_code("added while it is driven",
                   mfa_waiter_confirm(driver.waiter, i % 2 == 0 ? "sandbox-approve" : "sandbox-deny", &request,
                                      NULL, NULL, NULL, &ticket, &err),
                   MFA_OK, &err);
    }
    check_int("the thread ends", (long long)WaitForSingleObject(thread, 70000), WAIT_OBJECT_0);
    CloseHandle(thread);
    check_int("each ended", driver.ended, PEOPLE);
    check_int("every other was approved", driver.approved, PEOPLE / 2);
    check_int("it was woken once", driver.woken, 1);
    mfa_waiter_free(driver.waiter);
    mfa_hyperid_free(client);
}

/* Nothing is inherited -------------------------------------------------------------------------- */

/* Handles are multiples of four; those that are open and inheritable, among the first ones. */
static int inheritable_handles(void)
{
    int count = 0;
    uintptr_t handle;

    for (handle = 4; handle < 4096; handle += 4) {
        DWORD flags = 0;

        count += GetHandleInformation((HANDLE)handle, &flags) && (flags & HANDLE_FLAG_INHERIT) != 0;
    }
    return count;
}

static void nothing_is_inherited(const char *url)
{
    mfa_hyperid *client = hyperid_at(url);
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_call_options options = within(20000, cancel);
    mfa_availability answer = MFA_AVAILABILITY_INIT;
    mfa_error err = MFA_ERROR_INIT;
    int before = inheritable_handles();

    /* With a connection that is kept, and the bell of the cancel. */
    check_code("a call", mfa_hyperid_availability(client, "sandbox-approve", &options, &answer, &err), MFA_OK,
               &err);
    check_int("no handle that a child would inherit", inheritable_handles(), before);
    mfa_cancel_free(cancel);
    mfa_hyperid_free(client);
}

int main(void)
{
    const char *url = sandbox_url("MFA_TEST_HYPERID_URL");

    stays_loaded();
    tells_winsocks_number();
    shows_its_version();
    cancelled_by_another_thread(url);
    a_waiter_in_a_thread_of_its_own(url);
    nothing_is_inherited(url);
    return check_finish();
}
