/*
 * Mends Wine 8 for .NET 7 and newer; for the tests alone, never shipped.
 *
 * While Wine hands an exception to a handler it keeps a frame in a list that Windows does not have on
 * x86_64. .NET, once it has caught one, restores its registers by itself, and the frame stays in the list
 * although its piece of the stack is soon used for something else. The next exception is then "handled"
 * by whatever lies there, whose fault is the next exception, and so on to Wine's "stack overflow".
 *
 * Handlers of this kind are called before that list is: what is gone is taken out here. It is loaded as
 * a profiler, which .NET does before all else, and gives up at once as one.
 */
#include <windows.h>

#include <string.h>

/* What stands in Wine's own libraries, behind the DOS header. */
static const char WINES[] = "Wine builtin DLL";

static int is_wines_code(const void *code)
{
    MEMORY_BASIC_INFORMATION there;

    return VirtualQuery(code, &there, sizeof there) != 0 && there.Type == MEM_IMAGE &&
           (there.Protect & (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_WRITECOPY)) != 0 &&
           memcmp((const char *)there.AllocationBase + sizeof(IMAGE_DOS_HEADER), WINES, sizeof WINES) == 0;
}

static LONG CALLBACK forget_what_is_gone(EXCEPTION_POINTERS *raised)
{
    static EXCEPTION_REGISTRATION_RECORD *const END = (EXCEPTION_REGISTRATION_RECORD *)~(ULONG_PTR)0;
    NT_TIB *thread = (NT_TIB *)NtCurrentTeb();
    EXCEPTION_REGISTRATION_RECORD *frame = thread->ExceptionList;
    char *used = (char *)raised->ContextRecord->Rsp;

    while (frame != END) {
        char *place = (char *)frame;

        if (place < (char *)thread->StackLimit || place >= (char *)thread->StackBase ||
            frame->Next <= frame) {
            frame = END;
        } else if (place >= used && is_wines_code((const void *)frame->Handler)) {
            break;
        } else {
            frame = frame->Next;
        }
    }
    thread->ExceptionList = frame;
    return EXCEPTION_CONTINUE_SEARCH;
}

BOOL WINAPI DllMain(HINSTANCE library, DWORD why, void *reserved)
{
    WCHAR name[MAX_PATH];

    (void)reserved;
    if (why == DLL_PROCESS_ATTACH) {
        /* Stays when the profiler is found to be none. */
        GetModuleFileNameW(library, name, MAX_PATH);
        LoadLibraryW(name);
        AddVectoredExceptionHandler(1, forget_what_is_gone);
    }
    return TRUE;
}
